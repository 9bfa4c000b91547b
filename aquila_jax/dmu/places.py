"""Where bytes lie: local paths and object storage (`gs://`) behind one small door."""

import codecs
import contextlib
import os
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from aquila_jax.core import files


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


@contextlib.contextmanager
def _told(uri: str, what: str) -> Iterator[None]:
    """OSError for whatever a storage raises: gcsfs has its own HttpError, aiohttp several kinds."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{uri} cannot be {what} ({str(error) or type(error).__name__}).") from error


def require_folder(uri: str) -> None:
    """ValueError unless `uri` names a folder, or nothing yet."""
    if not uri:
        raise ValueError("the name of a folder is empty; give one (. is the current folder).")
    fs, path = filesystem(uri)
    with _told(uri, "read"):
        taken = fs.isfile(path)
    if taken:
        raise ValueError(f"{uri} is a file where a folder has to be; name another place.")


def exists(uri: str) -> bool:
    """Whether something lies there."""
    fs, path = filesystem(uri)
    with _told(uri, "read"):
        return fs.exists(path)


def names(folder: str) -> list[str]:
    """What lies directly in `folder`, sorted; empty if there is no such folder."""
    fs, root = filesystem(folder)
    with _told(folder, "read"):
        paths = fs.ls(root, detail=False) if fs.exists(root) else []
    return sorted(name for path in paths if (name := path.rstrip("/").rpartition("/")[2]))


def sizes(folder: str) -> dict[str, int]:
    """Bytes of every file below `folder`, by its path within it; empty if there is none."""
    fs, root = filesystem(folder)
    root = root.rstrip("/") + "/"
    with _told(folder, "read"):
        found = fs.find(root, detail=True) if fs.exists(root) else {}
    return {path.removeprefix(root): info["size"] for path, info in sorted(found.items())}


def read_bytes(uri: str) -> bytes:
    """The whole content."""
    fs, path = filesystem(uri)
    with _told(uri, "read"):
        return fs.cat_file(path)


def lines(uri: str) -> Iterator[tuple[int, bytes]]:
    """Number, from 1, and content of each line of JSON Lines that is not blank.

    JSON may hold U+2028 and other characters at which `str.splitlines` would cut it.
    """
    content = read_bytes(uri).removeprefix(codecs.BOM_UTF8)
    return ((number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip())


@contextlib.contextmanager
def writing(uri: str) -> Iterator[BinaryIO]:
    """A file that stands at `uri` only once it is whole."""
    fs, path = filesystem(uri)
    if is_local(fs):
        with files.writing(Path(path)) as file:
            yield file
        return
    fs.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.NamedTemporaryFile() as file:  # storage shows no upload before its end
        yield file
        file.flush()
        with _told(uri, "written"):
            fs.put_file(file.name, path)


def write_bytes(uri: str, content: bytes) -> None:
    """Writes the whole content, or nothing; OSError says where it could not."""
    fs, path = filesystem(uri)
    if is_local(fs):
        files.write(Path(path), content)
        return
    with _told(uri, "written"):
        fs.pipe_file(path, content)  # an object appears when it is whole


def create_bytes(uri: str, content: bytes) -> bool:
    """Writes what nobody else has written: of several who try, one is told True."""
    fs, path = filesystem(uri)
    fs.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with _told(uri, "written"):
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
    """`folder` as a TensorStore key-value store, which takes it for a URL; local and gs:// only."""
    fs, path = filesystem(folder)
    if is_local(fs):
        return f"file://{urllib.parse.quote(path.rstrip('/'))}/"
    if not folder.startswith("gs://"):
        raise ValueError(f"{folder}: a token store lies on a local path or on gs://.")
    return f"gs://{urllib.parse.quote(folder.removeprefix('gs://').rstrip('/'))}/"
