"""Where a person's orders come in, are given a step, and are kept.

steer/inbox/NAME.json      handed in by `aquila_jax steer`, whole or not at all
steer/accepted/NNNN.json   taken at a step, and again when that step is run again
steer/refused/NAME.json    with the reason beside it
"""

import json
import os
import time
from pathlib import Path

from aquila_jax.core import agree
from aquila_jax.core.journal import read_journal
from aquila_jax.dmu import places, staging, trace
from aquila_jax.train import newcomers, orders
from aquila_jax.train.cycle import Machine
from aquila_jax.train.host import HostState
from aquila_jax.train.workdir import Workdir

EVERY = 5  # steps between two looks
REST = 10.0  # seconds at least, where a look is a request over the network
TRIES = 10  # looks at a source that cannot be reached before its order is refused
UNFIT = (ValueError, TypeError, ArithmeticError)  # an order must not end the run, whatever it says


def hand_in(workdir: Path, order: dict) -> str:
    """Writes an order for the run in `workdir`, which looks for it every few steps."""
    home = staging.home(workdir)
    if not places.exists(places.join(home, "config.json")):
        raise ValueError(f"{home} is not the folder of a run; it has no config.json.")
    if places.exists(places.join(home, "summary.json")):  # which a run writes at its end
        raise ValueError(
            f"{home} is finished, so that no step is left to take an order; steer a run that goes on."
        )
    file = places.join(home, "steer", "inbox", f"{time.time_ns()}-{os.getpid()}.json")
    _write(file, {"version": orders.VERSION} | order)
    return file


class Inbox:
    """The orders of one run; every process gets the same at the same step."""

    def __init__(self, folder: Workdir):
        self.folder, self.home = folder, places.join(folder.home, "steer")
        self.looked, self.unreached = -REST, 0
        self.accepted: list[dict] = agree.told(self._read_accepted())

    def taken(self, host: HostState) -> dict | None:
        """An order that was taken at this step before the run was last started, or left."""
        if host.steers == len(self.accepted):
            return None
        order = self.accepted[host.steers]
        due = (order["timeline"], order["step"]) <= (host.timeline, host.step)
        return order if due else None

    def again(self, host: HostState) -> HostState:
        """The host's state under an order that was taken at this step before, if there was one."""
        order = self.taken(host)
        return host if order is None else orders.apply(host, order)[0]

    def orders(self, host: HostState, machine: Machine) -> list[dict]:
        """What to do before the next step: an order taken earlier, or one of the inbox."""
        if host.steers < len(self.accepted):
            return [order for order in [self.taken(host)] if order is not None]
        if host.step % EVERY:
            return []
        found = agree.told(self._look(machine))
        if found is None:
            return []
        name, text, source, content, reason = found
        try:
            if reason:
                raise ValueError(reason)
            order = orders.parse(
                text, host, machine.mentor.languages, source=source, content=content
            )
        except UNFIT as error:
            self._refuse(name, _reason(error), host.step)
            return []
        order |= {"timeline": host.timeline, "step": host.step}
        self._accept(name, order)
        self.accepted.append(order)
        return [order]

    def _read_accepted(self) -> list[dict]:
        files = self._files("accepted") if self.folder.writes else []
        return [json.loads(places.read_bytes(file)) for file in files]

    def _look(self, machine: Machine) -> list | None:
        """Name and text of an order, the source that it adds, what it leaves out, why that cannot be."""
        resting = staging.is_staged(self.folder.path) and time.monotonic() < self.looked + REST
        if not self.folder.writes or resting:
            return None
        self.looked = time.monotonic()
        try:
            files = self._files("inbox")
            text = places.read_bytes(files[0]).decode("utf-8", "replace") if files else ""
        except OSError:  # a person can wait for the next look, the run for no storage
            return None
        if not files:
            return None
        source = content = None
        reason = ""
        try:
            if place := orders.read(text).get("add_source"):
                source = newcomers.inspect(machine.config, machine.stream.store, str(place))
            if documents := orders.read(text).get("documents"):
                content = trace.rows_of(machine.stream, documents)
        except (*UNFIT, OSError) as error:
            reason = _reason(error)
            lasting = isinstance(error, (*UNFIT, FileNotFoundError, PermissionError))
            self.unreached += 1
            if not lasting and self.unreached < TRIES:
                return None  # storage that is away for a moment
        self.unreached = 0
        return [files[0].rpartition("/")[2], text, source, content, reason]

    def _files(self, part: str) -> list[str]:
        folder = places.join(self.home, part)
        return [places.join(folder, n) for n in places.names(folder) if n.endswith(".json")]

    def _accept(self, name: str, order: dict) -> None:
        if self.folder.writes:
            _write(places.join(self.home, "accepted", f"{len(self.accepted):04d}.json"), order)
            places.remove(places.join(self.home, "inbox", name))

    def _refuse(self, name: str, reason: str, step: int) -> None:
        self.folder.event("refused", step, order=name, why=reason)
        if self.folder.writes:
            handed, refused = (places.join(self.home, part, name) for part in ("inbox", "refused"))
            places.write_bytes(f"{refused.removesuffix('.json')}.reason", f"{reason}\n".encode())
            places.write_bytes(refused, places.read_bytes(handed))
            places.remove(handed)


def in_words(workdir: Path) -> list[str]:
    """The journal of a run for a person, one line an entry."""
    entries = read_journal(workdir / "journal.jsonl")
    if not entries:
        raise ValueError(f"{workdir} has no journal yet: name the folder of a run that has begun.")
    return [
        f"step {entry['step']:>7,}  {entry['kind']:<10}  {entry['author']:<10}  {_words(entry)}"
        for entry in entries
    ]


def _reason(error: Exception) -> str:
    if isinstance(error, (ValueError, OSError)):
        return str(error)
    return f"the order cannot be followed ({error}); use `aquila_jax steer`."


def _words(entry: dict) -> str:
    if entry["kind"] == "alarm":
        return f"{entry['alarm']['kind']}: {entry['alarm']['cause']}"
    if entry["kind"] == "forecast":
        told = entry["forecast"]
        if not told["calibrated_on"]:
            return f"final loss {told['final_loss']:.3f} (no band yet)"
        band = f"{told['low']:.3f} to {told['high']:.3f}"
        return f"final loss {told['final_loss']:.3f} ({told['coverage']:.0%}: {band})"
    hidden = ("seq", "step", "kind", "author", "hash", "evidence", "trajectory", "predict")
    left = {key: value for key, value in entry.items() if key not in hidden and value}
    return ", ".join(
        f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in left.items()
    )


def _write(file: str, value: dict) -> None:
    places.write_bytes(file, json.dumps(value, ensure_ascii=False, indent=1).encode())
