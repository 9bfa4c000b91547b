"""Documents are read the same from every format, and flaws are told, not hidden."""

import gzip
import hashlib
import importlib.util
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aquila_jax.dmu.sources import Document, Fields, Flaw, Source, expand, passed_over, read

TEXTS = ["plain", "全角，标点！　空格", "line\n\tend \n", "▁ [CLS] \u2028 \x00", "e\u0301 é \r\n"]


def lines(texts=TEXTS) -> bytes:
    records = [{"text": t, "id": f"d{i}", "source": "s"} for i, t in enumerate(texts)]
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def write_parquet(path):
    table = {
        "text": TEXTS,
        "id": [f"d{i}" for i in range(len(TEXTS))],
        "source": ["s"] * len(TEXTS),
    }
    pq.write_table(pa.table(table), path)


WRITERS = {
    "a.jsonl": lambda p: p.write_bytes(lines()),
    "a.jsonl.gz": lambda p: p.write_bytes(gzip.compress(lines())),
    "two.jsonl.gz": lambda p: p.write_bytes(
        gzip.compress(lines()[:40]) + gzip.compress(lines()[40:])
    ),
    "a.jsonl.zst": lambda p: p.write_bytes(zstd(lines())),
    "a.parquet": write_parquet,
    "bom.jsonl": lambda p: p.write_bytes(b"\xef\xbb\xbf" + lines()),
    "crlf.jsonl": lambda p: p.write_bytes(lines().replace(b"\n", b"\r\n")),
    "blank.jsonl": lambda p: p.write_bytes(lines() + b"\n  \n"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_documents(tmp_path, name):
    WRITERS[name](tmp_path / name)
    found = list(read(str(tmp_path / name)))
    assert [d.text for d in found] == TEXTS
    assert [(d.id, d.source, d.line) for d in found] == [
        (f"d{i}", "s", i + 1) for i in range(len(TEXTS))
    ]


def test_a_text_file_is_one_document(tmp_path):
    file, text = str(tmp_path / "a.txt.gz"), "第一行\n  second\n"
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    identity = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert list(read(file)) == [Document(text=text, id=identity, source="", file=file, line=1)]


def test_a_document_without_an_id_has_the_same_one_wherever_it_lies(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (tmp_path / "x" / "b.jsonl").write_text('{"text": "two"}\n')
    here, there = (list(read(str(tmp_path / name))) for name in ("a.jsonl", "x/b.jsonl"))
    assert here[1].id == there[0].id != here[0].id


@pytest.mark.parametrize("blank", ["", " \t"])
def test_a_blank_id_is_none(tmp_path, blank):
    # All documents would else be held out, or none: it is decided by a hash of the id.
    records = [{"text": text, "id": name} for text in ("a", "b") for name in (blank, None)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        first, same, second, _ = read(str(tmp_path / name))
        assert first.id == same.id == hashlib.sha256(b"a").hexdigest()[:16] != second.id


def test_a_place_that_cannot_be_read_is_a_flaw(tmp_path):
    rows = [{"text": "a", "place": "f:3"}, {"text": "b"}, {"text": "c", "place": "nowhere"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        found = list(read(str(tmp_path / name), Fields("text", "place")))
        assert (found[0].file, found[0].line) == ("f", 3)
        assert [flaw.reason for flaw in found[1:]] == ["no FILE:LINE in field 'place'"] * 2


def test_a_row_of_parquet_that_is_no_text_is_a_flaw_among_others(tmp_path):
    bad = pa.array([b"one", b"caf\xe9", b"two"]).view(pa.string())
    pq.write_table(pa.table({"text": bad}), tmp_path / "a.parquet")
    one, flaw, two = read(str(tmp_path / "a.parquet"))
    assert (one.text, two.text, two.line) == ("one", "two", 3)
    assert str(flaw).endswith("a.parquet:2 (not valid UTF-8)")


def test_a_value_of_parquet_beyond_python_s_range_is_a_flaw(tmp_path):
    times = pa.array([0, 2**60], pa.timestamp("ms"))
    pq.write_table(pa.table({"text": ["one", "two"], "id": times}), tmp_path / "a.parquet")
    one, flaw = read(str(tmp_path / "a.parquet"))
    assert one.text == "one" and "a.parquet:2 (not readable: " in str(flaw)


def test_compressed_parquet_is_unpacked(tmp_path):
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "a.parquet")
    packed = tmp_path / "b.parquet.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert [document.text for document in read(str(packed))] == ["one", "two"]
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(ValueError, match="b.parquet.gz cannot be read to its end"):
        list(read(str(packed)))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.zst"])
def test_a_compressed_file_without_a_byte_is_cut_off(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"{name} cannot be read .*it is empty.*cut off"):
        list(read(str(tmp_path / name)))


def test_files_in_a_folder_that_are_not_read_are_told(tmp_path):
    for name in ("a.jsonl", "b.csv", "deep/c.csv", "d.jsonl.xz", "SHA256SUMS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder = Source(name="x", language="en", paths=(f"{tmp_path}", f"{tmp_path}/*.csv"))
    assert passed_over(folder) == {".csv": 2, ".xz": 1, "SHA256SUMS": 1}
    file = Source(name="x", language="en", paths=(f"{tmp_path}/a.jsonl",))
    assert passed_over(file) == {}


def test_flaws_are_yielded_in_place_and_reading_goes_on(tmp_path):
    file = tmp_path / "a.jsonl"
    bad = {
        2: (b'{"text": "\xff"}', "not valid UTF-8"),
        3: (b'{"text": "a"', "not valid JSON"),
        4: (b'["text"]', "not a JSON object"),
        5: (b'{"body": "a"}', "no text in field 'text'"),
        6: (b'{"text": 3}', "no text in field 'text'"),
        7: (b'{"text": ""}', "no text in field 'text'"),
        8: (b'{"text": "\\ud800"}', "not valid Unicode"),
        9: (b"[" * 100_000, "not valid JSON"),
        10: (b'{"text": " \\n\\u3000"}', "no text in field 'text'"),
    }
    rows = [bad[n][0] if n in bad else b'{"text": "good"}' for n in range(1, 13)]
    file.write_bytes(b"\n".join(rows))
    found = list(read(str(file)))
    flaws = {f.line: f.reason for f in found if isinstance(f, Flaw)}
    assert flaws == {line: reason for line, (_, reason) in bad.items()}
    assert [d.line for d in found if isinstance(d, Document)] == [1, 11, 12]
    assert str(found[1]) == f"{file}:2 (not valid UTF-8)"


@pytest.mark.parametrize("suffix, cut", [("gz", 0.5), ("gz", -4), ("zst", 0.5), ("zst", -1)])
def test_a_file_that_is_cut_off_is_never_taken_for_whole(tmp_path, suffix, cut):
    whole = {"gz": gzip.compress, "zst": zstd}[suffix](lines(TEXTS * 1000))
    file = tmp_path / f"a.jsonl.{suffix}"
    file.write_bytes(whole[: cut if isinstance(cut, int) else int(len(whole) * cut)])
    with pytest.raises(ValueError, match=rf"a.jsonl.{suffix} cannot be read to its end .*cut off"):
        list(read(str(file)))


def test_damage_inside_a_file_is_told(tmp_path):
    whole = bytearray(gzip.compress(lines(TEXTS * 1000)))
    whole[len(whole) // 2] ^= 255
    (tmp_path / "a.jsonl.gz").write_bytes(whole)
    with pytest.raises(ValueError, match="damaged"):
        list(read(str(tmp_path / "a.jsonl.gz")))
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(ValueError, match="damaged"):
        list(read(str(tmp_path / "a.parquet")))


def test_parquet_without_the_text_column_names_those_it_has(tmp_path):
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"no column 'text'; its columns are \['body'\]"):
        list(read(str(tmp_path / "a.parquet")))
    assert [d.text for d in read(str(tmp_path / "a.parquet"), Fields("body"))] == ["a"]


def test_paths_are_files_folders_or_globs_sorted_and_each_file_once(tmp_path):
    for name in ("b.jsonl", "a.jsonl.gz", "deep/c.parquet", "note.txt", "SHA256SUMS", "code.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def names(*paths):
        files = expand(
            Source(name="x", language="en", paths=tuple(f"{tmp_path}{p}" for p in paths))
        )
        return [file.removeprefix(f"{tmp_path}/") for file in files]

    assert names("") == ["a.jsonl.gz", "b.jsonl", "deep/c.parquet", "note.txt"]
    assert names("/*.jsonl*") == ["a.jsonl.gz", "b.jsonl"]
    assert names("/code.py", "/b.jsonl", "/*.jsonl") == ["code.py", "b.jsonl"]


def test_links_to_folders_are_followed_once_and_what_is_hidden_is_left_out(tmp_path):
    disk, corpus = tmp_path / "disk", tmp_path / "corpus"
    for place in (disk / "2024" / "a.jsonl", corpus / "2023" / "a.jsonl", corpus / "._b.jsonl",
                  corpus / ".ipynb_checkpoints" / "c.jsonl"):  # fmt: skip
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    (corpus / "2024").symlink_to(disk / "2024")
    (corpus / "2023" / "round").symlink_to(corpus)
    expected = [f"{corpus}/2023/a.jsonl", f"{corpus}/2024/a.jsonl"]
    for path in ("", "/*/*.jsonl"):
        found = expand(Source(name="x", language="en", paths=(f"{corpus}{path}",)))
        assert [file for file in found if "round" not in file] == expected


def test_a_file_may_be_named_like_a_glob(tmp_path):
    place = tmp_path / "sp [1]" / "a?.jsonl"
    place.parent.mkdir()
    place.touch()
    assert expand(Source(name="x", language="en", paths=(str(place),))) == (str(place),)


@pytest.mark.parametrize("path", ["/nothing", "/empty", "/*.jsonl"])
def test_a_path_without_documents_is_an_error(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="source x: .* holds no documents; give a file"):
        expand(Source(name="x", language="en", paths=(f"{tmp_path}{path}",)))


def test_a_file_that_vanished_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="gone.jsonl does not exist"):
        list(read(str(tmp_path / "gone.jsonl")))


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_object_storage_without_its_package_says_what_to_install():
    with pytest.raises(ValueError, match=r"gs://bucket/x needs .* '.\[gcs\]'"):
        expand(Source(name="x", language="en", paths=("gs://bucket/x",)))


@pytest.mark.parametrize(
    "wrong, match",
    [
        ({"name": "../a"}, "letters, digits"),
        ({"paths": "a.jsonl"}, "must be a tuple"),
        ({"paths": ()}, "must be a tuple"),
        ({"split": "test"}, "'train' or 'heldout'"),
        ({"language": "zh-CN"}, "must be written 'zh'"),
        ({"language": "ZH"}, "must be written 'zh'"),
        ({"language": "en_US"}, "must be written 'en'"),
    ],
)
def test_a_source_is_checked_when_it_is_made(wrong, match):
    with pytest.raises(ValueError, match=match):
        Source(**{"name": "x", "language": "en", "paths": ("a",)} | wrong)
