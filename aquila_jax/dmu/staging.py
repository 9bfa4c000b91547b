"""The folder of a run in object storage, and the local folder that stands in for it.

Line files grow line by line, which an object cannot: they live in a local folder whose place
follows from the address, and are copied to it whole. The address follows from the place, too.
"""

import atexit
import functools
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from aquila_jax.core import files
from aquila_jax.dmu import places

RECORDS = (".json", ".jsonl")  # what a run needs back, directly in its folder


def stage(address: str, use: Literal["run", "look"]) -> Path:
    """The folder to work in; `address` itself where that is local, ValueError if it is a file.

    A look has a folder of its own in each process, gone with it: what it fetches must not lie
    under a run at work here, nor under another look.

    >>> stage("runs/tiny", "run")
    PosixPath('runs/tiny')
    """
    scheme, found, rest = address.partition("://")
    if not found:
        places.require_folder(address)
        return Path(address)
    base = _cache() / use
    if use == "look":
        base /= str(os.getpid())
        _remove_at_exit(base)
    return base / scheme / rest.strip("/")


def home(folder: Path) -> str:
    """Where what belongs to a run lies for good: the inverse of `stage`.

    >>> home(stage("gs://bucket/a/run", "look"))
    'gs://bucket/a/run'
    """
    absolute = folder.absolute()
    for base, process in ((_cache() / "run", 0), (_cache() / "look", 1)):
        if absolute.is_relative_to(base):
            scheme, *rest = absolute.relative_to(base).parts[process:]
            return f"{scheme}://{'/' if scheme == 'file' else ''}{'/'.join(rest)}"
    return str(absolute)


def is_staged(folder: Path) -> bool:
    """Whether `folder` only stands in for another place."""
    return home(folder) != str(folder.absolute())


def fetch(folder: Path) -> Path:
    """Makes the records in `folder` those of its home; returns it. Where it is home, that is so."""
    if not is_staged(folder):
        return folder
    address = home(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in places.names(address) if name.endswith(RECORDS)]
    for name in wanted:
        files.write(folder / name, places.read_bytes(places.join(address, name)))
    for entry in folder.iterdir():
        if entry.name not in (*wanted, "sample"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for step in places.names(places.join(address, "checkpoints")):
        (folder / "checkpoints" / step).mkdir(parents=True)  # that there is one, no more
    return folder


def publish(
    folder: Path, patterns: Sequence[str], before: Mapping[str, tuple] = MappingProxyType({})
) -> dict[str, tuple]:
    """Copies what of `patterns` changed since the call that returned `before` to its home.

    Each file becomes one object, which is the old one or the new one, never half. OSError if
    the storage cannot be written.
    """
    if not is_staged(folder):
        return {}
    found = {}
    for file in sorted(file for pattern in patterns for file in folder.glob(pattern)):
        if file.is_dir() or file.suffix == ".partial":
            continue
        name, state = file.relative_to(folder).as_posix(), file.stat()
        found[name] = (state.st_mtime_ns, state.st_size)
        if found[name] != before.get(name):
            places.write_bytes(places.join(home(folder), name), file.read_bytes())
    return found


@functools.cache
def _remove_at_exit(folder: Path) -> None:
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _cache() -> Path:
    """Of this user on this machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aquila_jax"
