"""A folder in storage and the local one that stands in for it."""

import pathlib

import pytest

from aquila_jax.dmu import places, staging


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("address", ["gs://bucket/a/run", "memory://a/b", "file:///a/b"])
@pytest.mark.parametrize("use", ["run", "look"])
def test_the_address_follows_from_the_place_and_the_place_from_it(address, use):
    folder = staging.stage(address, use)
    assert staging.is_staged(folder) and staging.home(folder) == address
    assert staging.home(folder / "store") == f"{address}/store"


def test_a_local_folder_is_its_own_home(tmp_path):
    folder = staging.stage(str(tmp_path / "run"), "run")
    assert folder == tmp_path / "run" and not staging.is_staged(folder)
    assert staging.home(pathlib.Path("run")) == str(pathlib.Path("run").absolute())
    assert staging.fetch(folder) == folder and not folder.exists()
    assert staging.publish(folder, ("*",)) == {}


def test_who_looks_does_not_touch_the_folder_of_a_run_at_work():
    assert staging.stage("gs://b/r", "run") != staging.stage("gs://b/r", "look")


def test_two_looks_do_not_share_a_folder(monkeypatch):
    mine = staging.stage("memory://b/run", "look")
    monkeypatch.setattr(staging.os, "getpid", lambda: 1)
    other = staging.stage("memory://b/run", "look")
    assert mine != other and staging.home(mine) == staging.home(other) == "memory://b/run"


def test_what_is_published_is_fetched_and_nothing_else_stays():
    folder = staging.stage("memory://staging/run", "run")
    (folder / "tensorboard").mkdir(parents=True)
    for name in ("a.json", "b.jsonl", "b.jsonl.partial", "tensorboard/events", "other"):
        (folder / name).write_text(name)
    staging.publish(folder, ("*.json", "*.jsonl", "tensorboard/*"))
    assert list(places.sizes("memory://staging/run")) == ["a.json", "b.jsonl", "tensorboard/events"]
    places.write_bytes("memory://staging/run/checkpoints/20/x", b"")

    elsewhere = staging.stage("memory://staging/run", "look")
    elsewhere.mkdir(parents=True)
    (elsewhere / "left.jsonl").write_text("of another run")
    staging.fetch(elsewhere)
    assert sorted(p.name for p in elsewhere.iterdir()) == ["a.json", "b.jsonl", "checkpoints"]
    assert (elsewhere / "b.jsonl").read_text() == "b.jsonl"
    assert [p.name for p in (elsewhere / "checkpoints").iterdir()] == ["20"]


def test_only_what_changed_is_copied_again(monkeypatch):
    folder = staging.stage("memory://staging/again", "run")
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("1")
    (folder / "b.json").write_text("1")
    before = staging.publish(folder, ("*.json",))
    (folder / "b.json").write_text("22")
    places.write_bytes("memory://staging/again/a.json", b"as it was put")
    staging.publish(folder, ("*.json",), before)
    assert places.read_bytes("memory://staging/again/a.json") == b"as it was put"
    assert places.read_bytes("memory://staging/again/b.json") == b"22"


def test_what_is_no_name_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file where a folder has to be"):
        staging.stage(str(tmp_path / "file"), "run")
    with pytest.raises(ValueError, match="the name of a folder is empty"):
        staging.stage("", "look")
