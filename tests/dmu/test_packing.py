import collections

import numpy as np
import pytest

from aquila_jax.dmu import packing
from tests.dmu.memory import MemoryStore, random_store


def every_row(index):
    domain = np.repeat(np.arange(len(index.rows)), index.rows)
    return domain, np.concatenate([np.arange(rows) for rows in index.rows])


@pytest.fixture(scope="module")
def store():
    return random_store({"a": 300, "b": 40, "c": 1000})


@pytest.fixture(params=[("concat", 32), ("concat", 7), ("best_fit", 32), ("best_fit", 7)])
def packed(request, store):
    name, length = request.param
    offsets = [store.offsets("train", domain) for domain in store.domains]
    return name, packing.PACKINGS[name](offsets, length), offsets


def test_pieces_lie_in_one_document_and_fill_their_row_from_the_left(packed):
    name, index, offsets = packed
    domain, row = every_row(index)
    pieces = index.pieces(domain, row)
    place = collections.Counter()
    for at, column, start, length in zip(*pieces, strict=True):
        line = offsets[domain[at]]
        document = np.searchsorted(line, start, side="right") - 1
        assert length > 0 and start + length <= line[document + 1]
        assert column == place[at]
        place[at] += length
    assert len(place) == len(row) and max(place.values()) <= index.length + 1
    if name == "best_fit":
        assert max(collections.Counter(pieces.row.tolist()).values()) <= packing.MAX_PIECES


def test_every_token_but_a_documents_first_is_a_target_exactly_once(packed):
    _, index, offsets = packed
    domain, row = every_row(index)
    pieces = index.pieces(domain, row)
    for number, line in enumerate(offsets):
        targets = np.zeros(line[-1], int)
        for at, _, start, length in zip(*pieces, strict=True):
            if domain[at] == number:
                targets[start + 1 : start + length] += 1
        firsts = line[:-1][np.diff(line) > 0]
        assert (targets[firsts] == 0).all()
        assert (np.delete(targets, firsts) == 1).all()


def test_tokens_are_those_of_the_pieces_and_zero_elsewhere(packed, store):
    _, index, _ = packed
    domain, row = every_row(index)
    order = np.random.default_rng(0).permutation(len(row))
    domain, row = domain[order], row[order]

    def gather(domains, starts, length):
        return store.gather("train", domains, starts, length=length)

    tokens = index.tokens(domain, row, gather)
    expected = np.zeros_like(tokens)
    for at, column, start, length in zip(*index.pieces(domain, row), strict=True):
        span = store.lines[domain[at]][start : start + length]
        expected[at, column : column + length] = span
    assert tokens.shape == (len(row), index.length + 1)
    assert (tokens == expected).all()


@pytest.mark.parametrize(("length", "longest", "most"), [(32, 60, 64), (32, 60, 3), (50, 9, 64)])
def test_best_fit_is_the_one_by_one_algorithm(monkeypatch, length, longest, most):
    monkeypatch.setattr(packing, "MAX_PIECES", most)
    store = random_store({"a": 500}, seed=1, longest=longest)
    index = packing.best_fit([store.offsets("train", "a")], length)
    pieces = index.pieces(*every_row(index))

    bins: list[list[int]] = []  # plain best-fit-decreasing
    for size in sorted(pieces.length.tolist(), reverse=True):
        room = [b for b in bins if sum(b) + size <= length + 1 and len(b) < most]
        best = max(room, key=sum, default=None)
        bins.append([size]) if best is None else best.append(size)
    ours = np.split(pieces.length, np.flatnonzero(np.diff(pieces.row)) + 1)
    assert sorted(map(sum, bins)) == sorted(map(sum, ours))
    if most > 3:  # with a limit on pieces, ties between rows of equal room may differ
        assert sorted(map(sorted, bins)) == sorted(map(sorted, map(np.ndarray.tolist, ours)))


def test_best_fit_cuts_only_what_is_longer_than_a_row_and_wastes_little():
    lengths = np.random.default_rng(2).integers(2, 60, 2000)
    offsets = np.cumsum([0, *lengths])
    best, windows = (packing.shares(name, offsets, 31) for name in ("best_fit", "concat"))
    assert best.cut == pytest.approx(np.mean(lengths > 32))
    assert windows.cut > best.cut and windows.padding < 0.001
    assert best.padding < 0.02


def test_shares_count_cuts_and_padding_by_hand():
    offsets = np.cumsum([0, 5, 4, 3])  # 12 tokens, 11 targets: windows [0, 9) and [8, 12)
    assert packing.shares("concat", offsets, 8) == packing.Shares(0.0, 1 - 12 / 16)
    offsets = np.cumsum([0, 5, 6, 3])
    assert packing.shares("concat", offsets, 8) == packing.Shares(1 / 3, 1 - 14 / 16)
    assert packing.shares("best_fit", offsets, 8) == packing.Shares(0.0, 1 - 13 / 16)  # 6 + 3, 5


@pytest.mark.parametrize("name", ["concat", "best_fit"])
def test_a_domain_with_less_than_one_sequence_has_no_rows(name):
    documents = {"short": [np.arange(5)] * 3, "long": [np.arange(5)] * 4, "none": []}
    store = MemoryStore(documents)
    offsets = [store.offsets("train", domain) for domain in documents]
    index = packing.PACKINGS[name](offsets, 16)
    assert (index.rows > 0).tolist() == [False, True, False]
    assert packing.shares(name, offsets[0], 16) == packing.Shares(0.0, 1.0)
