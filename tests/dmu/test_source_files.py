"""Files are known by what they hold; documents are split the same anywhere."""

import collections
import dataclasses
import shutil

import pytest

from aquila_jax.dmu.source_files import (
    FIRST_FLAWS,
    SourceFile,
    check,
    documents,
    fingerprint_file,
    for_each,
    list_files,
    reading_of,
    split_of,
)
from aquila_jax.dmu.sources import Document, Source


def source_file(path, **changes) -> SourceFile:
    known = {
        "file": str(path), "content": "", "size": 0, "name": "x", "language": "en",
        "split": "train", "heldout": 0.0, "text_field": "text", "place_field": "",
    }  # fmt: skip
    return SourceFile(**known | changes)


def test_a_file_is_known_by_its_bytes_not_by_its_name_or_time(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    shutil.copy(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").write_bytes(b"two")
    a, b, c = (fingerprint_file(str(tmp_path / name)) for name in "abc")
    assert a == b and a[1] == 3 and a != c


def test_only_domains_without_a_held_out_source_hold_a_share_out(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(b"")
    source = Source(name="x", language="en", paths=(f"{tmp_path}/a.jsonl",))
    held = dataclasses.replace(source, split="heldout", paths=(f"{tmp_path}/b.jsonl",))
    other = dataclasses.replace(source, name="y")
    files = list_files([source, held, other], heldout=0.1)
    assert [(file.name, file.heldout) for file in files] == [("x", 0), ("x", 0), ("y", 0.1)]


def test_a_file_that_is_held_out_is_never_learned_from(tmp_path):
    for name in ("train-0", "heldout"):
        (tmp_path / f"{name}.jsonl").write_bytes(b"")
    source = Source(name="x", language="en", paths=(f"{tmp_path}/*.jsonl",))
    held = dataclasses.replace(source, name="y", split="heldout", paths=(f"{tmp_path}/held*",))
    with pytest.raises(
        ValueError, match=r"source x \(train\): .*heldout.jsonl is held out by source y"
    ):
        list_files([source, held], heldout=0.1)


@pytest.mark.parametrize("copy", [shutil.copy, lambda held, other: other.symlink_to(held)])
def test_a_copy_of_a_file_that_is_held_out_is_never_learned_from(tmp_path, copy):
    for folder in ("train", "held"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "empty.jsonl").touch()  # as any other: nothing is learned from it
    (tmp_path / "held" / "a.jsonl").write_bytes(b'{"text": "a"}\n')
    source = Source(name="x", language="en", paths=(f"{tmp_path}/train",))
    held = dataclasses.replace(source, name="y", split="heldout", paths=(f"{tmp_path}/held",))
    assert len(list_files([source, held], heldout=0.1)) == 3
    copy(tmp_path / "held" / "a.jsonl", tmp_path / "train" / "b.jsonl")
    told = r"train/b.jsonl holds the same as .*held/a.jsonl, which is held out by source y; name"
    with pytest.raises(ValueError, match=told):
        list_files([source, held], heldout=0.1)


def test_a_file_under_two_names_is_one_file_of_its_source(tmp_path):
    for name in ("a", "copy"):
        (tmp_path / f"{name}.jsonl").write_bytes(b'{"text": "a", "more": "b"}\n')
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    source = Source(name="x", language="en", paths=(f"{tmp_path}/a.jsonl", str(tmp_path)))
    again = dataclasses.replace(source, paths=(f"{tmp_path}/*.jsonl",))
    files = list_files([source, again], heldout=0.1)
    # The copy stays, which is a way to weigh.
    assert [file.file for file in files] == [f"{tmp_path}/{name}.jsonl" for name in ("a", "copy")]
    # Another name, or another field, is other documents.
    named, field = (
        dataclasses.replace(again, name="y"),
        dataclasses.replace(again, text_field="more"),
    )
    assert len(list_files([source, named, field], heldout=0.1)) == 6


def test_a_document_stays_on_its_side_as_the_share_grows(tmp_path):
    found = [Document(text="", id=str(i), source="", file="", line=1) for i in range(2000)]
    held = {}
    for share in (0.0, 0.1, 0.5):
        place = source_file(tmp_path, heldout=share)
        held[share] = {d.id for d in found if split_of(d, place) == "heldout"}
        assert abs(len(held[share]) - 2000 * share) < 4 * (2000 * share * (1 - share)) ** 0.5 + 1
    assert held[0.0] < held[0.1] < held[0.5]
    assert split_of(found[0], source_file(tmp_path, split="heldout")) == "heldout"


def test_flaws_are_counted_all_and_told_the_first(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n' * 30 + b"{\n" * 12)
    place, tally, first = source_file(tmp_path / "a.jsonl"), collections.Counter(), []
    assert len(list(documents(place, tally, first))) == 30
    reading = reading_of(place, tally, first)
    assert (reading.documents, reading.flaws) == (30, 12)
    assert len(reading.first_flaws) == FIRST_FLAWS and "a.jsonl:31 " in reading.first_flaws[0]
    check([reading], 12 / 42)
    with pytest.raises(ValueError, match="12 of 42 documents are unreadable, first at .*:31"):
        check([reading], 0.28)
    clean = dataclasses.replace(reading, documents=1000, flaws=0, first_flaws=())
    check([clean, reading], 0.02)  # the share is the source's, not a file's


def test_work_on_files_keeps_their_numbers_and_says_how_far_it_is():
    lines = []
    files = [source_file(f"f{i}", size=size) for i, size in enumerate([5, 70, 6])]
    results = for_each(
        lambda file: file.file, files, processes=1, title="read", report=lines.append
    )
    assert list(results) == [(1, "f1"), (2, "f2"), (0, "f0")]  # the largest first
    assert lines[-1].startswith("read: 100%")
