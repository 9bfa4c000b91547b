"""A file stands whole or not at all."""

import pytest

from aquila_jax.dmu import places


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
