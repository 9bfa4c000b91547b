"""A file of this machine is written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file that stands at `path` only once it is whole and with the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process in the name: a worker that outlived a killed run may still write its own.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is told
            temporary.unlink()
        raise


def write(path: Path, content: bytes) -> None:
    """Writes the whole content, or leaves what is there."""
    with writing(path) as file:
        file.write(content)
