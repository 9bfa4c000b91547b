import numpy as np
import pytest

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.stream import Stream
from aquila_jax.dmu.trace import appearances, rows_of, trace
from tests.dmu.memory import random_store


@pytest.fixture(scope="module")
def store():
    return random_store({"en": 60, "zh": 90, "code": 30})


@pytest.fixture(params=["concat", "best_fit"])
def stream(request, store):
    return Stream(store, 24, request.param)


@pytest.fixture
def book(stream):
    sizes = stream.sizes
    book = ledgers.start(5, {name: sizes[name] for name in ("zh", "en")}, {"en": 1, "zh": 3})
    weights = {"en": 1, "zh": 1, "code": 2}
    book = ledgers.append(book, 40, weights, sizes={"code": sizes["code"]})
    book = ledgers.exclude(book, 90, "code", [(3, 9)])
    book = ledgers.append(book, 120, weights | {"zh": 0})
    return ledgers.skip(book, 60, 75)


def test_the_documents_of_a_stretch_are_what_its_batch_teaches(stream, store, book):
    batch = stream.batch(book, 30, (1, 100), slice(None))
    taught = batch.targets[batch.loss_mask == 1]
    traced = trace(stream, book, 30, 130)
    spans = [store.documents[t.domain][t.document][t.first : t.last] for t in traced]
    assert np.concatenate([span[1:] for span in spans]).tolist() == taught.tolist()
    found = ledgers.lookup(book, np.arange(30, 130))
    for one in traced:
        assert one.provenance == {"id": f"{one.domain}-{one.document}"}
        assert one.last - one.first > 1  # something was taught
        row = one.cursor - 30
        assert one.domain == book.domains[found.domain[row]]
        assert (one.sequence, one.epoch) == (found.sequence[row], found.epoch[row])
        assert one.index == found.index[row]


def test_a_document_is_found_wherever_it_was(stream, store, book):
    traced = trace(stream, book, 20, 400)
    for domain in store.domains:
        for document in range(0, len(store.documents[domain]), 20):
            there = [t for t in traced if (t.domain, t.document) == (domain, document)]
            found = appearances(stream, book, domain, document, cursors=range(20, 400))
            assert [(a.cursor, a.sequence, a.epoch, a.index) for a in found] == sorted(
                {(t.cursor, t.sequence, t.epoch, t.index) for t in there}
            )


def test_what_is_left_out_by_its_documents_is_read_by_nobody(stream, store, book):
    wanted = [("en", 3), ("en", 4), ("zh", 50)]
    content = rows_of(stream, wanted)
    assert set(content) == {"en", "zh"}
    for domain, ranges in content.items():
        book = ledgers.exclude(book, 200, domain, ranges)
    named = {(t.domain, t.document) for t in trace(stream, book, 185, 2000)}
    assert not named & set(wanted)
    assert named >= {("en", 10), ("code", 1)}  # zh has no weight there


def test_a_document_that_is_not_there_is_told(stream):
    with pytest.raises(ValueError, match="en has no document 60; it has 60, counted from 0"):
        rows_of(stream, [("en", 60)])
    with pytest.raises(ValueError, match="domain 'fr' is not in the stream"):
        rows_of(stream, [("fr", 0)])


def test_nothing_is_found_where_nothing_was(stream, book):
    assert appearances(stream, book, "code", 0, cursors=range(40)) == []
    assert appearances(stream, book, "zh", 0, cursors=range(0)) == []
