"""Where bytes lie: local paths and object storage (`gs://`) behind one small door."""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem


def filesystem(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of `uri` and the path within it; ValueError where it cannot be had."""
    try:
        return fsspec.core.url_to_fs(uri)
    except ImportError as error:
        raise ValueError(
            f"{uri} needs a package that is not installed ({error}); for gs:// install the "
            "project's extra: pip install 'aquila_jax[gcs]'."
        ) from error
    except ValueError as error:
        raise ValueError(f"{uri} is of no known kind of storage: {error}.") from error


def is_local(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether the files lie on this machine."""
    return isinstance(fs, LocalFileSystem)


def join(folder: str, *names: str) -> str:
    """The place of a name within a folder."""
    return "/".join([folder.rstrip("/") or "/", *names])


def absolute(uri: str) -> str:
    """The place by a name that means the same to a process that stands elsewhere."""
    fs, path = filesystem(uri)
    return path if is_local(fs) else uri


def exists(uri: str) -> bool:
    """Whether something lies there."""
    fs, path = filesystem(uri)
    return fs.exists(path)


def sizes(folder: str) -> dict[str, int]:
    """Bytes of every file below `folder`, by its path within it; empty if there is none."""
    fs, root = filesystem(folder)
    root = root.rstrip("/") + "/"
    found = fs.find(root, detail=True) if fs.exists(root) else {}
    return {path.removeprefix(root): info["size"] for path, info in sorted(found.items())}


def read_bytes(uri: str) -> bytes:
    """The whole content."""
    fs, path = filesystem(uri)
    return fs.cat_file(path)


@contextlib.contextmanager
def writing(uri: str) -> Iterator[BinaryIO]:
    """A file that stands at `uri` only once it is whole: a temporary name, synced, renamed."""
    fs, path = filesystem(uri)
    fs.makedirs(os.path.dirname(path), exist_ok=True)
    # The process in the name: a worker that outlived a killed run may still write its own.
    temporary = f"{path}.{os.getpid()}.tmp"
    with fs.open(temporary, "wb") as file:
        yield file
        if is_local(fs):
            file.flush()
            os.fsync(file.fileno())
    fs.mv(temporary, path)


def write_bytes(uri: str, content: bytes) -> None:
    """Writes the whole content, or nothing."""
    with writing(uri) as file:
        file.write(content)


def remove(folder: str) -> None:
    """Removes a folder and all that is in it, if it is there."""
    fs, path = filesystem(folder)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def tensorstore_url(folder: str) -> str:
    """`folder` as a TensorStore key-value store; local and gs:// only."""
    fs, path = filesystem(folder)
    if is_local(fs):
        return f"file://{path.rstrip('/')}/"
    if not folder.startswith("gs://"):
        raise ValueError(f"{folder}: a token store lies on a local path or on gs://.")
    return folder.rstrip("/") + "/"
