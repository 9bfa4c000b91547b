"""A part is its file's documents, is taken only where all that shaped it is the same."""

import dataclasses
import json

import numpy as np
import pytest

from aquila_jax.dmu.parts import make_part, token_type
from aquila_jax.dmu.source_files import list_files
from aquila_jax.dmu.sources import Source
from aquila_jax.dmu.tokenizer import BOS, EOS, encode_batch, load_tokenizer, train_tokenizer


@pytest.fixture
def tokenizer(tmp_path):
    (tmp_path / "t.model").write_bytes(train_tokenizer(["the cat of a river " * 50], 280))
    return str(tmp_path / "t.model")


@pytest.fixture
def place(tmp_path, write):
    write(tmp_path / "a.jsonl.gz", "en", count=20, seed=1)
    (file,) = list_files(
        [Source(name="x", language="en", paths=(str(tmp_path / "a.jsonl.gz"),))], 0.3
    )
    return file


def raw(part, split, name, dtype):
    with open(part.file(split, name), "rb") as file:
        return np.frombuffer(file.read(), dtype)


def test_its_raw_files_are_the_documents_in_order(tmp_path, place, tokenizer, write):
    texts = write(tmp_path / "b.jsonl.gz", "en", count=20, seed=1)
    part = make_part(place, folder=str(tmp_path / "p"), tokenizer=tokenizer)
    sides = {0: [], 1: []}
    for side, split in enumerate(("train", "heldout")):
        tokens, lengths = raw(part, split, "tokens", "<u2"), raw(part, split, "lengths", "<i8")
        counts = part.counts(split)
        assert len(lengths) == counts.documents > 0 and len(tokens) == counts.tokens == sum(lengths)
        sides[side] = np.split(tokens, np.cumsum(lengths)[:-1])
        origins = raw(part, split, "provenance", "u1").tobytes().decode().splitlines()
        lines = [json.loads(origin)["line"] for origin in origins]
        assert lines == sorted(lines)
        for line, document in zip(lines, sides[side], strict=True):
            (ids,) = encode_batch(load_tokenizer(tokenizer), [texts[line - 1]])
            assert document.tolist() == [BOS, *ids, EOS]
    assert part.train.bytes + part.heldout.bytes == sum(len(text) for text in texts)


def test_it_is_taken_again_only_if_nothing_has_changed(tmp_path, place, tokenizer):
    (tmp_path / "u.model").write_bytes(train_tokenizer(["the cat of a river " * 50], 281))
    folder = tmp_path / "p"
    first = make_part(place, folder=str(folder), tokenizer=tokenizer)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert make_part(place, folder=str(folder), tokenizer=tokenizer) == first
    assert times == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    changed = [
        make_part(place, folder=str(folder), tokenizer=str(tmp_path / "u.model")),
        *(
            make_part(
                dataclasses.replace(place, **change),
                folder=str(folder),
                tokenizer=tokenizer,
            )
            for change in ({"content": "other"}, {"heldout": 0.1}, {"split": "heldout"})
        ),
    ]
    assert len({part.prefix for part in [first, *changed]}) == 5


def test_token_types_hold_every_id():
    assert [token_type(size) for size in (300, 1 << 16, (1 << 16) + 1)] == [
        "uint16", "uint16", "uint32",
    ]  # fmt: skip
