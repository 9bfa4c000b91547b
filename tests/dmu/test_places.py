"""A file stands whole or not at all."""

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from aquila_jax.dmu import arrays, places


def test_written_is_read_and_sized(tmp_path):
    folder = str(tmp_path / "deep" / "er")
    places.write_bytes(places.join(folder, "b", "c"), b"123")
    places.write_bytes(places.join(folder, "a"), b"")
    assert places.read_bytes(f"{folder}/b/c") == b"123"
    assert places.sizes(folder) == {"a": 0, "b/c": 3}
    assert places.exists(folder) and not places.exists(folder + "/none")
    places.remove(folder)
    places.remove(folder)
    assert places.sizes(folder) == {}


@pytest.mark.parametrize("kind", ["file://{}/a", "memory://{}/a"])
def test_what_fails_halfway_leaves_the_old_content(tmp_path, kind):
    target = kind.format(tmp_path)
    places.write_bytes(target, b"old")
    with pytest.raises(OSError, match="full"), places.writing(target) as file:
        file.write(b"new")
        raise OSError("the disk is full")
    assert places.read_bytes(target) == b"old"


def test_storage_in_memory_works_like_a_disk():
    places.write_bytes("memory://places/x/y", b"12")
    assert places.sizes("memory://places") == {"x/y": 2}
    assert places.read_bytes("memory://places/x/y") == b"12"
    places.remove("memory://places")


def test_arrays_lie_on_disk_or_google_storage_only(tmp_path):
    assert places.tensorstore_url(str(tmp_path) + "/a/") == f"file://{tmp_path}/a/"
    with pytest.raises(ValueError, match="memory://a: a token store lies on a local path or on gs"):
        places.tensorstore_url("memory://a")


def test_a_folder_is_named_as_it_is_whatever_it_holds(tmp_path):
    for name in ("a%41", "a#b", "a?b", "中 文"):
        folder = str(tmp_path / name)
        arrays.write_array(places.join(folder, "x"), "uint16", 3, [np.arange(3, dtype=np.uint16)])
        assert (tmp_path / name / "x" / "zarr.json").exists(), sorted(tmp_path.iterdir())


def test_what_a_storage_raises_is_an_os_error(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("503 backend error")

    for method in ("exists", "ls", "find", "cat_file", "pipe_file", "put_file"):
        monkeypatch.setattr(MemoryFileSystem, method, broken)
    for ask in (
        lambda: places.exists("memory://a"),
        lambda: places.names("memory://a"),
        lambda: places.sizes("memory://a"),
        lambda: places.read_bytes("memory://a/b"),
        lambda: places.write_bytes("memory://a/b", b""),
        lambda: places.create_bytes("memory://a/b", b""),
    ):
        with pytest.raises(OSError, match="memory://a.* cannot be .*503 backend error"):
            ask()


def test_an_unknown_kind_of_storage_is_one_sentence():
    with pytest.raises(ValueError, match="nowhere://a is of no known kind of storage"):
        places.exists("nowhere://a")


def test_of_two_who_create_one_does():
    place = "memory://places/created"
    assert places.create_bytes(place, b"1") and not places.create_bytes(place, b"2")
    assert places.read_bytes(place) == b"1"
    places.remove(place)


def test_names_are_those_directly_in_a_folder(tmp_path):
    for folder in (str(tmp_path), "memory://places/names"):
        for name in ("b/c", "a", "b/d/e"):
            places.write_bytes(places.join(folder, name), b"")
        assert places.names(folder) == ["a", "b"]
        assert places.names(folder + "/none") == []
