"""The files that a path names: one file, what lies below a folder, or what a glob matches."""

import glob
import os
from collections.abc import Callable, Iterator

from aquila_jax.dmu import places


def named(path: str, *, wanted: Callable[[str], bool]) -> list[str]:
    """Their names, sorted; of those below a folder only the `wanted`."""
    fs, root = places.filesystem(path)
    local = places.is_local(fs)
    if fs.isdir(root):
        return list(filter(wanted, below(path)))
    if fs.exists(root):  # also a file whose name holds the signs of a glob
        found = [root]
    else:
        matching = glob.glob(root, recursive=True) if local else fs.glob(root)
        found = [file for file in matching if not fs.isdir(file)]
    return [file if local else fs.unstrip_protocol(file) for file in sorted(found)]


def below(path: str) -> list[str]:
    """All files of a folder, sorted; none if `path` is no folder."""
    fs, root = places.filesystem(path)
    if not fs.isdir(root):
        return []
    if places.is_local(fs):
        return sorted(_walked(root))
    return [fs.unstrip_protocol(file) for file in sorted(fs.find(root))]


def _walked(root: str) -> Iterator[str]:
    """Also through links, each folder once; what is hidden is no text."""
    seen = set()
    for folder, names, found in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        names[:] = [] if real in seen else [name for name in names if not name.startswith(".")]
        if real not in seen:
            yield from (places.join(folder, name) for name in found if not name.startswith("."))
        seen.add(real)
