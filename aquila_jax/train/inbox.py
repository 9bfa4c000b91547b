"""Where a person's orders come in, are given a step, and are kept.

steer/inbox/NAME.json      handed in by `aquila_jax steer`, whole or not at all
steer/accepted/NNNN.json   taken at a step, and again when that step is run again
steer/refused/NAME.json    with the reason beside it
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from aquila_jax.core.journal import read_lines
from aquila_jax.train import agree, orders
from aquila_jax.train.host import HostState
from aquila_jax.train.workdir import Workdir

EVERY = 5  # steps between two looks


def hand_in(workdir: Path, order: dict) -> Path:
    """Writes an order for the run in `workdir`, which looks for it every few steps."""
    if not (workdir / "config.json").exists():
        raise ValueError(f"{workdir} is not the folder of a run; it has no config.json.")
    folder = workdir / "steer" / "inbox"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.time_ns()}-{os.getpid()}.json"
    _write(file, {"version": orders.VERSION} | order)
    return file


class Inbox:
    """The orders of one run; every process gets the same at the same step."""

    def __init__(self, folder: Workdir, inspect: Callable[[str], dict]):
        self.folder, self.path, self.inspect = folder, folder.path / "steer", inspect
        self.accepted: list[dict] = agree.told(self._read_accepted())

    def taken(self, host: HostState) -> dict | None:
        """An order that was taken at this step before the run was last started, or left."""
        if host.steers == len(self.accepted):
            return None
        order = self.accepted[host.steers]
        due = (order["timeline"], order["step"]) <= (host.timeline, host.step)
        return order if due else None

    def orders(self, host: HostState, languages: Mapping[str, str]) -> list[dict]:
        """What to do before the next step: an order taken earlier, or one of the inbox."""
        if host.steers < len(self.accepted):
            return [order for order in [self.taken(host)] if order is not None]
        if host.step % EVERY:
            return []
        found = agree.told(self._look())
        if found is None:
            return []
        name, text, source, reason = found
        try:
            if reason:
                raise ValueError(reason)
            order = orders.parse(text, host, languages, source)
        except ValueError as error:
            self._refuse(name, str(error), host.step)
            return []
        order |= {"timeline": host.timeline, "step": host.step}
        self._accept(name, order)
        self.accepted.append(order)
        return [order]

    def _read_accepted(self) -> list[dict]:
        if not self.folder.writes:
            return []
        files = sorted((self.path / "accepted").glob("*.json"))
        return [json.loads(file.read_text("utf-8")) for file in files]

    def _look(self) -> list | None:
        """Name and text of an order, the source that it adds, and why that cannot be."""
        files = sorted((self.path / "inbox").glob("*.json")) if self.folder.writes else []
        if not files:
            return None
        text, source, reason = files[0].read_text("utf-8", "replace"), None, ""
        try:
            if place := orders.read(text).get("add_source"):
                source = self.inspect(str(place))
        except (ValueError, OSError) as error:
            reason = str(error)
        return [files[0].name, text, source, reason]

    def _accept(self, name: str, order: dict) -> None:
        if self.folder.writes:
            folder = self.path / "accepted"
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / f"{len(self.accepted):04d}.json", order)
            (self.path / "inbox" / name).unlink(missing_ok=True)

    def _refuse(self, name: str, reason: str, step: int) -> None:
        self.folder.event("refused", step, order=name, why=reason)
        if self.folder.writes:
            folder = self.path / "refused"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).with_suffix(".reason").write_text(reason + "\n", "utf-8")
            os.replace(self.path / "inbox" / name, folder / name)


def in_words(workdir: Path) -> list[str]:
    """The journal of a run for a person, one line an entry."""
    return [
        f"step {entry['step']:>7,}  {entry['kind']:<10}  {entry['author']:<10}  {_words(entry)}"
        for entry in read_lines(workdir / "journal.jsonl")
    ]


def _words(entry: dict) -> str:
    if entry["kind"] == "alarm":
        return f"{entry['alarm']['kind']}: {entry['alarm']['cause']}"
    if entry["kind"] == "forecast":
        told = entry["forecast"]
        return f"final loss {told['final_loss']:.3f} (90 %: {told['low']} to {told['high']})"
    hidden = ("seq", "step", "kind", "author", "hash", "evidence", "trajectory", "predict")
    left = {key: value for key, value in entry.items() if key not in hidden and value}
    return ", ".join(
        f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in left.items()
    )


def _write(file: Path, value: dict) -> None:
    temporary = file.with_suffix(".partial")
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False, indent=1)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
