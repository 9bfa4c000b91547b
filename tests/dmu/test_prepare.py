"""The same documents make the same store, however often it was stopped, and no other is kept."""

import dataclasses
import fcntl
import gzip
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import pytest

from aquila_jax.dmu.clean.settings import Settings
from aquila_jax.dmu.manifest import read_manifest
from aquila_jax.dmu.prepare import PrepareSettings, prepare
from aquila_jax.dmu.sources import Source
from aquila_jax.dmu.store import open_store, verify
from aquila_jax.dmu.tokenizer import train_tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]


def contents(folder) -> dict[str, bytes]:
    paths = pathlib.Path(folder).rglob("*")
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.is_file()}


def quiet(line):
    del line


def test_it_makes_a_whole_store_and_leaves_nothing_else(made_store, made_settings):
    manifest = read_manifest(str(made_store))
    assert [info.name for info in manifest.train] == ["en_made", "zh_made", "code_made"]
    assert [info.language for info in manifest.heldout] == ["en", "zh", "code"]
    assert manifest.vocab_size == made_settings.vocab_size
    assert {path.split("/")[0] for path in contents(made_store)} == {
        "manifest.json", "tokenizer.model", "train", "heldout",
    }  # fmt: skip
    verify(open_store(str(made_store)), quiet)


def test_processes_make_the_same_bytes_with_a_tokenizer_that_is_given(
    made_settings, made_store, tmp_path
):
    given = {"processes": 2, "tokenizer": str(made_store / "tokenizer.model")}
    prepare(dataclasses.replace(made_settings, **given), str(tmp_path / "s"), quiet)
    same, made = contents(tmp_path / "s"), contents(made_store)
    assert same.pop("manifest.json") != made.pop("manifest.json")  # it says how it was made
    assert same == made


def test_two_at_once_are_kept_apart(made_settings, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(ValueError, match="another prepare is at work in"):
        prepare(made_settings, str(tmp_path), quiet)
    os.close(folder)
    assert contents(tmp_path) == {}


def test_a_second_run_takes_the_store_as_it_is(made_settings, made_store):
    before, lines = contents(made_store), []
    assert prepare(made_settings, str(made_store), lines.append) == read_manifest(str(made_store))
    assert lines[-1].endswith("is whole already") and contents(made_store) == before


@pytest.mark.parametrize(
    "change",
    [{"vocab_size": 390}, {"heldout": 0.3}, {"tokenizer_bytes": 999}, {"clean": Settings()}],
)
def test_a_store_of_other_settings_is_never_taken_or_touched(made_settings, made_store, change):
    before = contents(made_store)
    with pytest.raises(ValueError, match="a token store of other documents or settings"):
        prepare(dataclasses.replace(made_settings, **change), str(made_store), quiet)
    assert contents(made_store) == before


KILLER = """
import os, pickle, signal, sys
from aquila_jax.dmu.prepare import prepare
from aquila_jax.dmu.store import open_store, verify

settings, folder, step = pickle.load(open(sys.argv[1], "rb"))


def die_after(touches):
    # A SIGKILL when the folder's files have been opened, renamed or removed so often.
    def count(event, arguments):
        nonlocal touches
        if any(isinstance(a, str) and a.startswith(folder) for a in arguments):
            touches -= 1
            if touches < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def run(touches):
    if os.path.exists(folder + "/manifest.json"):
        verify(open_store(folder), print)  # what is declared whole is whole
    die_after(touches)
    prepare(settings, folder, report=lambda line: None)
    os._exit(0)


kills, status = 0, 1
while status:
    child = os.fork()  # only this program's imports are made once
    if not child:
        run(step * (kills + 1))
    status = os.waitpid(child, 0)[1]
    kills += 1
    assert status in (0, signal.SIGKILL), "it failed where it should have gone on"
print(kills)
"""


def test_killed_again_and_again_it_makes_the_same_bytes(made_settings, made_store, tmp_path):
    folder = str(tmp_path / "store")
    (tmp_path / "work").write_bytes(pickle.dumps((made_settings, folder, 31)))
    command = [sys.executable, "-c", KILLER, tmp_path / "work"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5
    assert contents(folder) == contents(made_store)


def test_parts_that_are_whole_are_kept_and_stale_ones_never_used(tmp_path, write):
    """A run that fails on its last file, which is then mended."""
    for index in range(3):
        write(tmp_path / f"in/{index}.jsonl.gz", "en", count=10, seed=index)
    whole = (tmp_path / "in/2.jsonl.gz").read_bytes()
    (tmp_path / "in/2.jsonl.gz").write_bytes(whole[:-9])
    first = (tmp_path / "in/0.jsonl.gz").read_bytes()
    settings = small(tmp_path, tokenizer=trained(tmp_path))
    with pytest.raises(ValueError, match="2.jsonl.gz cannot be read to its end"):
        prepare(settings, str(tmp_path / "store"), quiet)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store/parts").iterdir()}
    markers = [name for name in kept if name.endswith(".json")]
    assert len(markers) == 2
    (tmp_path / "in/2.jsonl.gz").write_bytes(whole)
    # Same name, same size, same time, other text.
    other = gzip.compress(gzip.decompress(first).replace(b"cat", b"dog"), mtime=0)
    stat = (tmp_path / "in/0.jsonl.gz").stat()
    (tmp_path / "in/0.jsonl.gz").write_bytes(other)
    os.utime(tmp_path / "in/0.jsonl.gz", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    prepare(settings, str(tmp_path / "store"), quiet)
    prepare(settings, str(tmp_path / "fresh"), quiet)
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


def trained(tmp_path) -> str:
    """A tokenizer of 300 entries."""
    path = tmp_path / "tokenizer.model"
    path.write_bytes(train_tokenizer(["the cat of a river and it was seen " * 50], 290))
    return str(path)


def small(tmp_path, **changes) -> PrepareSettings:
    source = Source(name="x", language="en", paths=(str(tmp_path / "in"),))
    return PrepareSettings(
        **{"sources": (source,), "vocab_size": 290, "heldout": 0, "processes": 1} | changes
    )


def test_flaws_are_counted_and_reported_and_too_many_stop_the_run(tmp_path):
    (tmp_path / "in").mkdir()
    rows = [b'{"text": "the cat"}'] * 97 + [b'{"text": "\xff"}', b"{", b"{}"]
    (tmp_path / "in/a.jsonl").write_bytes(b"\n".join(rows))
    settings, lines = small(tmp_path, tokenizer=trained(tmp_path), max_flaws=0.03), []
    manifest = prepare(settings, str(tmp_path / "store"), lines.append)
    assert manifest.train[0].documents == manifest.sources[0].documents == 97
    assert manifest.sources[0].flaws == 3
    (line,) = [line for line in lines if "unreadable" in line]
    assert "in/a.jsonl:98 (not valid UTF-8)" in line and "in/a.jsonl:100 (no text" in line
    for tokenizer in (settings.tokenizer, None):
        strict = dataclasses.replace(settings, max_flaws=0.029, tokenizer=tokenizer)
        with pytest.raises(ValueError, match=r"source x \(train\): 3 of 100 documents are unread"):
            prepare(strict, str(tmp_path / "other"), quiet)
        assert not (tmp_path / "other/manifest.json").exists()


@pytest.mark.parametrize("part", ["train", "heldout", "parts"])
def test_a_store_is_never_made_over_its_sources(tmp_path, part, write):
    write(tmp_path / part / "a.jsonl.gz", "en", count=5, seed=5)
    source = Source(name="x", language="en", paths=(f"{tmp_path}/{part}",))
    settings = PrepareSettings(sources=(source,), vocab_size=300)
    with pytest.raises(ValueError, match="lies where prepare writes the token store"):
        prepare(settings, str(tmp_path), quiet)
    assert (tmp_path / part / "a.jsonl.gz").exists()


def test_a_damaged_store_is_not_whole_already(made_settings, made_store, tmp_path):
    shutil.copytree(made_store, tmp_path / "store")
    (tmp_path / "store" / "tokenizer.model").write_bytes(b"")
    with pytest.raises(ValueError, match="is damaged: remove it and run prepare again"):
        prepare(made_settings, str(tmp_path / "store"), quiet)


@pytest.mark.parametrize(
    ("name", "message"), [("store", "store is a file where"), ("", "is empty")]
)
def test_a_store_that_is_no_folder_is_refused_before_anything_is_read(tmp_path, name, message):
    (tmp_path / "store").touch()
    with pytest.raises(ValueError, match=message):
        prepare(small(tmp_path), name and str(tmp_path / name), quiet)


def test_an_empty_source_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_bytes(b"\n\n")
    for tokenizer in (trained(tmp_path), None):
        with pytest.raises(ValueError, match=r"source x \(train\) is empty"):
            prepare(small(tmp_path, tokenizer=tokenizer), str(tmp_path / "store"), quiet)


def test_a_document_is_held_out_by_its_id_alone(tmp_path, write):
    write(tmp_path / "in/a.jsonl.gz", "en", count=400, seed=5)
    tokenizer = trained(tmp_path)
    held = {}
    for share in (0.1, 0.3):
        settings = small(tmp_path, tokenizer=tokenizer, heldout=share)
        prepare(settings, str(tmp_path / str(share)), quiet)
        store = open_store(str(tmp_path / str(share)))
        count = store.info("heldout", "x").documents
        assert abs(count - 400 * share) < 4 * (400 * share * (1 - share)) ** 0.5
        assert count + store.info("train", "x").documents == 400
        held[share] = {store.provenance("heldout", "x", i)["id"] for i in range(count)}
    assert held[0.1] < held[0.3]


@pytest.mark.parametrize(
    "wrong, match",
    [
        ({"max_flaws": 1.0}, r"max_flaws=1.0 must be a share"),
        ({"heldout": -0.1}, r"heldout=-0.1 must be a share"),
        ({"processes": 0}, "processes=0"),
        ({"sources": ()}, "at least one with split='train'"),
        ({"vocab_size": 265}, "vocab_size=265 must be at least 266: specials and bytes"),
    ],
)
def test_settings_are_checked_when_they_are_made(tmp_path, wrong, match):
    with pytest.raises(ValueError, match=match):
        small(tmp_path, **wrong)


def test_one_domain_has_one_language_and_a_given_tokenizer_its_size(tmp_path, write):
    write(tmp_path / "in/a.jsonl.gz", "en", count=3, seed=5)
    (source,) = small(tmp_path).sources
    other = dataclasses.replace(source, split="heldout", language="zh")
    with pytest.raises(ValueError, match="source x must have one language"):
        small(tmp_path, sources=(source, other))
    with pytest.raises(ValueError, match="has 290 entries but vocab_size=300: set vocab_size=290"):
        prepare(small(tmp_path, tokenizer=trained(tmp_path), vocab_size=300), str(tmp_path / "s"))
