"""Where a person's orders come in, are given a step, and are kept.

steer/inbox/NAME.json      handed in by `aquila_jax steer`, whole or not at all
steer/accepted/NNNN.json   taken at a step, and again when that step is run again
steer/refused/NAME.json    with the reason beside it
"""

import contextlib
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


class Unreachable(Exception):
    """What an order names cannot be read, and will not be waited for any longer."""


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
        self.unread: set[str] = set()  # what lies in the inbox and cannot be read
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
        order = agree.told(self._next(host, machine))
        if order is None:
            return []
        self.accepted.append(order)
        return [order]

    def close(self, step: int) -> None:
        """Refuses what was handed in too late for the run, which has ended."""
        if self.folder.writes:
            with contextlib.suppress(OSError):
                for file in self._files("inbox"):
                    self._refuse(file, "the run had ended before it was looked at", step)

    def _read_accepted(self) -> list[dict]:
        files = self._files("accepted") if self.folder.writes else []
        return [json.loads(places.read_bytes(file)) for file in files]

    def _next(self, host: HostState, machine: Machine) -> dict | None:
        """The oldest order of the inbox, kept as taken; None where there is none, or it is refused.

        Also where the storage does not answer or is full: the order waits there for the next look,
        and the run for nothing.
        """
        resting = staging.is_staged(self.folder.path) and time.monotonic() < self.looked + REST
        if not self.folder.writes or resting:
            return None
        self.looked = time.monotonic()
        try:
            waiting = [file for file in self._files("inbox") if file not in self.unread]
            return self._settled(waiting[0], host, machine) if waiting else None
        except (IsADirectoryError, PermissionError) as error:  # what comes after it is taken
            self.unread.add(waiting[0])
            name = waiting[0].rpartition("/")[2]
            self.folder.event("refused", host.step, order=name, why=f"cannot be read: {error}")
        except OSError:
            pass
        return None

    def _settled(self, file: str, host: HostState, machine: Machine) -> dict | None:
        name = file.rpartition("/")[2]
        if name in (order.get("file") for order in self.accepted):
            places.remove(file)  # which could not be done when it was taken
            return None
        text = places.read_bytes(file).decode("utf-8", "replace")
        try:
            source, content = self._looked_into(text, machine)
            languages = machine.mentor.languages
            order = orders.parse(text, host, languages, source=source, content=content)
        except (*UNFIT, Unreachable) as error:
            self._refuse(file, _reason(error), host.step)
            return None
        order |= {"timeline": host.timeline, "step": host.step, "file": name}
        _write(places.join(self.home, "accepted", f"{len(self.accepted):04d}.json"), order)
        with contextlib.suppress(OSError):
            places.remove(file)
        self.unreached = 0
        return order

    def _looked_into(self, text: str, machine: Machine) -> tuple[dict | None, dict | None]:
        """What an order adds and what it leaves out."""
        source = content = None
        try:
            if place := orders.read(text).get("add_source"):
                source = newcomers.inspect(machine.config, machine.stream.store, str(place))
            if documents := orders.read(text).get("documents"):
                content = trace.rows_of(machine.stream, documents)
        except OSError as error:
            self.unreached += 1
            lasting = isinstance(error, FileNotFoundError | PermissionError)
            if not lasting and self.unreached < TRIES:
                raise  # storage that is away for a moment
            raise Unreachable(str(error)) from error
        return source, content

    def _files(self, part: str) -> list[str]:
        folder = places.join(self.home, part)
        return [places.join(folder, n) for n in places.names(folder) if n.endswith(".json")]

    def _refuse(self, file: str, reason: str, step: int) -> None:
        name = file.rpartition("/")[2]
        refused = places.join(self.home, "refused", name)
        places.write_bytes(f"{refused.removesuffix('.json')}.reason", f"{reason}\n".encode())
        places.write_bytes(refused, places.read_bytes(file))
        places.remove(file)
        self.unreached = 0
        self.folder.event("refused", step, order=name, why=reason)


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
    if isinstance(error, ValueError | Unreachable):
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
