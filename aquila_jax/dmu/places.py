"""Where bytes lie: local paths and object storage (`gs://`) behind one small door."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem


def filesystem(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of `uri` and the path within it; ValueError where it cannot be had."""
    try:
        # No listing is kept: other hosts write there, too.
        return fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except ImportError as error:
        raise ValueError(
            f"{uri} needs a package that is not installed ({error}); for gs:// install the "
            "project's extra: pip install -e '.[gcs]'."
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


def names(folder: str) -> list[str]:
    """What lies directly in `folder`, sorted; empty if there is no such folder."""
    fs, root = filesystem(folder)
    if not fs.exists(root):
        return []
    found = (path.rstrip("/").rpartition("/")[2] for path in fs.ls(root, detail=False))
    return sorted(name for name in found if name)


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
    """A file that stands at `uri` only once it is whole."""
    fs, path = filesystem(uri)
    fs.makedirs(os.path.dirname(path), exist_ok=True)
    with (_local_file if is_local(fs) else _object)(fs, path) as file:
        yield file


@contextlib.contextmanager
def _local_file(fs: fsspec.AbstractFileSystem, path: str) -> Iterator[BinaryIO]:
    """A temporary name, synced, renamed."""
    # The process in the name: a worker that outlived a killed run may still write its own.
    temporary = f"{path}.{os.getpid()}.tmp"
    with fs.open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    fs.mv(temporary, path)


@contextlib.contextmanager
def _object(fs: fsspec.AbstractFileSystem, path: str) -> Iterator[BinaryIO]:
    """A local file until it is whole: storage shows no upload before its end."""
    with tempfile.NamedTemporaryFile() as file:
        yield file
        file.flush()
        fs.put_file(file.name, path)


def write_bytes(uri: str, content: bytes) -> None:
    """Writes the whole content, or nothing; OSError says where it could not."""
    fs, path = filesystem(uri)
    if is_local(fs):
        with writing(uri) as file:
            file.write(content)
        return
    try:
        fs.pipe_file(path, content)  # an object appears when it is whole
    except Exception as error:  # gcsfs has its own HttpError, aiohttp several kinds
        raise OSError(f"{uri} cannot be written ({error or type(error).__name__}).") from error


def create_bytes(uri: str, content: bytes) -> bool:
    """Writes what nobody else has written: of several who try, one is told True."""
    fs, path = filesystem(uri)
    fs.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        fs.pipe_file(path, content, mode="create")
    except FileExistsError:
        return False
    return True


def remove(folder: str) -> None:
    """Removes a folder and all that is in it, if it is there."""
    fs, path = filesystem(folder)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def for_orbax(folder: str) -> str:
    """`folder` as Orbax takes it: a local path, or gs://."""
    fs, path = filesystem(folder)
    return path if is_local(fs) else folder


def tensorstore_url(folder: str) -> str:
    """`folder` as a TensorStore key-value store; local and gs:// only."""
    fs, path = filesystem(folder)
    if is_local(fs):
        return f"file://{path.rstrip('/')}/"
    if not folder.startswith("gs://"):
        raise ValueError(f"{folder}: a token store lies on a local path or on gs://.")
    return folder.rstrip("/") + "/"
