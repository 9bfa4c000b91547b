"""The append-only, hash-chained record of what a run decided, and the plain JSON Lines beside it."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from aquila_jax.core import files


def canonical(value: Any) -> str:
    """JSON with sorted keys and exact floats: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def read_lines(path: Path) -> list[dict]:
    """Every whole line of a JSON Lines file; a last line cut short is left out."""
    if not path.exists():
        return []
    return [_object(line, f"line {n} of {path}") for n, line in enumerate(_whole(path), 1)]


def read_journal(path: Path) -> list[dict]:
    """Every whole line of a journal; ValueError at the first that somebody edited."""
    entries = read_lines(path)
    if (broken := first_broken(entries)) is not None:
        raise ValueError(
            f"line {broken + 1} of {path} does not have the hash that follows from the lines "
            "before it: it was edited, or one before it was removed; put the file back."
        )
    return entries


class Lines:
    """A JSON Lines file that can be cut back to where a checkpoint left it."""

    def __init__(self, path: Path | None, keep: int):
        self.path, self.count = path, keep
        if path is None:
            return
        lines = _whole(path)[:keep] if path.exists() else []
        if len(lines) < keep:
            raise ValueError(
                f"{path} has {len(lines)} lines, but the checkpoint was made after {keep}; "
                "put the file back, or start again in another --workdir."
            )
        files.write(path, b"".join(line + b"\n" for line in lines))

    def append(self, value: dict) -> None:
        """Writes one line; it is with the operating system when this returns."""
        self.count += 1
        if self.path is not None:
            try:
                with self.path.open("ab") as file:
                    file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")
            except OSError as error:
                raise ValueError(
                    f"{self.path} cannot be written ({error.strerror}); checkpoints made so far "
                    "are whole: make room and run the same command again."
                ) from error

    def sync(self) -> None:
        """Returns when the disk has it."""
        if self.path is not None:
            with self.path.open("ab") as file:
                os.fsync(file.fileno())


class Journal:
    """Lines whose hashes depend on all lines before: an edit by hand shows.

    Without a path (every process but the first) it only counts and hashes, so that all
    processes agree on `count` and `hash`.
    """

    def __init__(self, path: Path | None, keep: int = 0, last_hash: str = ""):
        self.lines = Lines(path, keep)
        self.hash = last_hash
        kept = read_lines(path)[-1].get("hash") if path is not None and keep else last_hash
        if kept != last_hash:
            raise ValueError(
                f"line {keep} of {path} is not the one the checkpoint was made after; "
                "somebody edited the journal: put it back, or start in another --workdir."
            )

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self.lines.count

    def append(self, step: int, kind: str, *, author: str = "mentor", **fields) -> dict:
        """Adds a line after `step` finished steps, and returns it."""
        entry = {"seq": self.count, "step": step, "kind": kind, "author": author, **fields}
        entry["hash"] = self.hash = chain(self.hash, entry)
        self.lines.append(entry)
        return entry


def chain(previous: str, entry: dict) -> str:
    """The hash of a journal line that follows one with hash `previous`."""
    body = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256((previous + canonical(body)).encode()).hexdigest()


def first_broken(entries: list[dict]) -> int | None:
    """The first line whose hash does not follow from those before it; None if all do."""
    previous = ""
    for number, entry in enumerate(entries):
        if entry.get("hash") != chain(previous, entry):
            return number
        previous = entry["hash"]
    return None


def _whole(path: Path) -> list[bytes]:
    """Lines that have an end; one cut short was being written."""
    return path.read_bytes().split(b"\n")[:-1]


def _object(line: bytes, where: str) -> dict:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is no JSON ({error}): it was edited or is damaged; "
                         "put the file back.") from error  # fmt: skip
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no JSON object: it was edited; put the file back.")
    return value
