import threading
import time

import numpy as np
import pytest

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.stream import Stream
from tests.dmu.memory import MemoryStore, random_store, write_store

EVERY = slice(None)


@pytest.fixture(scope="module")
def store():
    return random_store({"en": 300, "zh": 500, "code": 90})


@pytest.fixture(params=["concat", "best_fit"])
def stream(request, store):
    return Stream(store, 24, request.param)


def open_ledger(stream):
    weights = dict(zip(stream.domains, (3, 2, 1), strict=True))
    book = ledgers.start(5, stream.sizes, weights)
    return ledgers.append(book, 50, weights | {"code": 0})


def rows_of(batch):
    """Every field as rows, `[A * B, L]`, side by side."""
    return np.stack([np.asarray(field).reshape(-1, field.shape[-1]) for field in batch], axis=1)


def test_fields_follow_from_the_documents_one_by_one(stream, store):
    book = open_ledger(stream)
    batch = stream.batch(book, 30, (2, 40), EVERY)
    found = ledgers.lookup(book, 30 + np.arange(80))
    assert batch.tokens.shape == (2, 40, 24)
    assert {field.dtype for field in batch[:4]} == {np.dtype(np.int32)}
    assert batch.loss_mask.dtype == np.float32 and batch.domain_ids.dtype == np.int32
    owner = {}  # token -> (document, place in it); each token occurs once in this store
    for domain, documents in enumerate(store.documents.values()):
        for number, document in enumerate(documents):
            owner |= {int(t): (domain, number, at) for at, t in enumerate(document)}
    for row, at in zip(rows_of(batch), found.domain, strict=True):
        segment, position = 0, 0
        for column in range(24):
            token, target, segment_id, position_id, mask, domain = row[:, column].astype(int)
            assert domain == at
            if not token:
                assert (segment_id, position_id, mask) == (0, 0, 0)
                continue
            here = owner[token]
            previous = owner.get(int(row[0, column - 1])) if column else None
            goes_on = (
                previous is not None and previous[:2] == here[:2] and previous[2] + 1 == here[2]
            )
            segment, position = (segment, position + 1) if goes_on else (segment + 1, 0)
            assert (segment_id, position_id) == (segment, position)
            following = owner.get(target)
            assert mask == (following == (*here[:2], here[2] + 1))
            assert here[0] == at


def test_an_epoch_teaches_every_token_but_the_firsts_exactly_once(stream, store):
    sizes = stream.sizes
    book = ledgers.start(0, sizes, {"en": 0, "zh": 1, "code": 0})
    batch = stream.batch(book, 0, (1, sizes["zh"]), EVERY)
    taught = batch.targets[batch.loss_mask == 1]
    documents = store.documents["zh"]
    assert sorted(taught.tolist()) == sorted(t for d in documents for t in d[1:].tolist())


def test_the_sequences_do_not_depend_on_hosts_batch_size_or_accumulation(stream):
    book = ledgers.skip(open_ledger(stream), 20, 41)
    whole = rows_of(stream.batch(book, 0, (1, 120), EVERY))
    for accumulation, batch, hosts in ((1, 8, 2), (2, 6, 3), (3, 5, 1), (1, 120, 8)):
        rows = np.zeros_like(whole)
        step = accumulation * batch
        for first in range(0, 120, step):
            cursors = first + np.arange(step).reshape(accumulation, batch)
            for host in range(hosts):
                local = slice(host * batch // hosts, (host + 1) * batch // hosts)
                part = stream.batch(book, first, (accumulation, batch), local)
                rows[cursors[:, local].ravel()] = rows_of(part)
        assert (rows == whole).all()


def test_reading_ahead_changes_nothing(stream):
    book = open_ledger(stream)
    batches = list(stream.batches(book, 7, (2, 4), slice(1, 3), steps=9))
    assert len(batches) == 9
    for step, batch in enumerate(batches):
        expected = stream.batch(book, 7 + 8 * step, (2, 4), slice(1, 3))
        assert type(batch) is type(expected)
        assert (rows_of(batch) == rows_of(expected)).all()


def reading_threads():
    return [thread for thread in threading.enumerate() if "grain-prefetch" in thread.name]


@pytest.mark.parametrize("end", ["exhausted", "closed", "dropped"])
def test_threads_end_with_the_iterator(store, end):
    stream = Stream(store, 24)
    iterator = stream.batches(open_ledger(stream), 0, (1, 4), EVERY, steps=30)
    next(iterator)
    assert reading_threads()
    if end == "exhausted":
        assert len(list(iterator)) == 29
    elif end == "closed":
        iterator.close()
    else:
        del iterator
    for _ in range(200):
        if not reading_threads():
            break
        time.sleep(0.02)
    assert not reading_threads()


def test_domain_ids_are_the_stores_even_where_the_ledger_has_another_order(store):
    stream = Stream(store, 24)
    sizes = stream.sizes
    book = ledgers.start(0, {"zh": sizes["zh"]}, {"zh": 1})
    book = ledgers.append(book, 8, {"zh": 1, "en": 1}, sizes={"en": sizes["en"]})
    batch = stream.batch(book, 0, (1, 64), EVERY)
    for domain, tokens in zip(batch.domain_ids[0, :, 0], batch.tokens[0], strict=True):
        assert tokens[0] in store.lines[domain]
    assert set(batch.domain_ids.ravel().tolist()) == {0, 1}


def test_a_ledger_of_another_store_is_refused(stream):
    book = ledgers.start(0, {"fr": 10}, {"fr": 1})
    with pytest.raises(ValueError, match="domains \\['fr'\\] of the ledger are not in the token"):
        stream.batch(book, 0, (1, 1), EVERY)


def test_a_domain_with_less_than_one_sequence_is_refused_unless_its_weight_is_zero():
    store = MemoryStore({"a": [np.arange(1, 50)], "tiny": [np.arange(60, 70)]})
    sizes = Stream(store, 24).sizes
    assert sizes == {"a": 2, "tiny": 0}
    with pytest.raises(ValueError, match="\\['tiny'\\] have a weight but not one whole sequence"):
        ledgers.start(0, sizes, {"a": 1, "tiny": 1})
    ledgers.start(0, sizes, {"a": 1, "tiny": 0})


def test_a_store_on_disk_gives_what_one_in_memory_gives(stream, store, tmp_path):
    write_store(store, str(tmp_path))
    on_disk = Stream(open_store(str(tmp_path)), stream.length, stream.packing)
    book = open_ledger(stream)
    assert on_disk.sizes == stream.sizes
    for batch, expected in (
        (on_disk.batch(book, first, (1, 200), EVERY), stream.batch(book, first, (1, 200), EVERY))
        for first in (0, 1000)
    ):
        assert (rows_of(batch) == rows_of(expected)).all()
