import random

import numpy as np
import pytest
from datatrove.data import Document

from aquila_jax.dmu.clean import duplicates, tokens
from aquila_jax.dmu.clean.settings import Duplicates

LIMITS = Duplicates()
CONFIG = duplicates.minhash_config(LIMITS)
MOST = (1 << 64) - 1
RANDOM = np.random.default_rng(0)


def signature(tmp_path, shingles):
    step = duplicates.Signature(str(tmp_path), CONFIG)
    return step.get_signature(np.asarray(shingles, np.uint64).reshape(-1, 1))


def pair(jaccard, size=400):
    """Two sets of random shingles of this similarity."""
    common = round(2 * size * jaccard / (1 + jaccard))
    values = RANDOM.integers(0, MOST, 2 * size - common, dtype=np.uint64)
    return np.unique(values[:size]), np.unique(values[size - common :])


def test_bands_find_what_the_formula_says(tmp_path):
    for jaccard, at_least, at_most in ((0.8, 0.95, 1.0), (0.6, 0.3, 0.9), (0.2, 0.0, 0.05)):
        found = 0
        for _ in range(100):
            left, right = (signature(tmp_path, part) for part in pair(jaccard))
            found += any(a == b for a, b in zip(left, right, strict=True))
        expected = 1 - (1 - jaccard**LIMITS.rows) ** LIMITS.buckets
        assert found / 100 == pytest.approx(expected, abs=0.12)
        assert at_least <= found / 100 <= at_most


def test_signature_does_not_depend_on_the_chunks(tmp_path, monkeypatch):
    shingles = RANDOM.integers(0, MOST, 5000, dtype=np.uint64)
    whole = signature(tmp_path, shingles)
    monkeypatch.setattr(duplicates, "ROWS_AT_ONCE", 7)
    assert signature(tmp_path, shingles) == whole
    assert len(whole) == LIMITS.buckets and {len(bucket) for bucket in whole} == {LIMITS.rows}


@pytest.mark.parametrize("jaccard", [0.0, 0.5, 0.75, 0.9, 1.0])
@pytest.mark.parametrize("size", [30, 3000, 40_000])
def test_sketches_tell_the_similarity(jaccard, size):
    left, right = pair(jaccard, size)
    made = duplicates.similarity(duplicates.sketch(left), duplicates.sketch(right))
    assert made == pytest.approx(tokens.jaccard(left, right), abs=0.04)
    assert len(duplicates.sketch(left).hashes) <= 2.2 * duplicates.SKETCH


def test_sketches_of_different_levels():
    values = np.unique(RANDOM.integers(0, MOST, 9000, dtype=np.uint64))
    part = values[RANDOM.random(len(values)) < 0.4]
    long, short = duplicates.sketch(values), duplicates.sketch(part)
    assert long.level > short.level
    assert duplicates.similarity(long, short) == pytest.approx(len(part) / len(values), abs=0.04)


def test_files_give_back_the_sketches(tmp_path):
    rng = random.Random(1)
    texts = [" ".join(rng.choice("abcdefgh") for _ in range(n)) for n in (0, 3, 50, 900)]
    given = (Document(text=text, id=str(at)) for at, text in enumerate(texts))
    passed = list(duplicates.write_sketches(given, 2, 3, folder=str(tmp_path), ngram=5))
    assert [document.text for document in passed] == texts
    shard = duplicates.read_sketches(str(tmp_path), 2)
    for at, text in enumerate(texts):
        made = duplicates.sketch(tokens.shingles(text, 5))
        read = duplicates.sketch_of(shard, at)
        assert read.level == made.level and (read.hashes == made.hashes).all()


def test_equal_but_for_case_and_space():
    a, b, c = (Document(text=text, id="x") for text in ("A  b\nC", "a B c ", "a bc"))
    assert duplicates.content(a) == duplicates.content(b) != duplicates.content(c)


def test_earlier_shards_win():
    def rank(shard):
        document = Document(text="", id="", metadata={"shard": shard})
        return duplicates.earlier_first(document)

    assert rank(0) == 65_535 > rank(1) > rank(70_000) == 1
