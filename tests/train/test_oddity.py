import jax
import numpy as np
import pytest

from aquila_jax.core import sharding
from aquila_jax.core.signals import Batch
from aquila_jax.dmu.store import join, open_store
from aquila_jax.dmu.stream import Stream
from aquila_jax.train import oddity
from aquila_jax.tsm import tokens

LENGTH, VOCAB = 64, 512


@pytest.fixture(scope="module")
def stream(runs):
    return Stream(open_store(str(runs / "store")), LENGTH)


@pytest.fixture(scope="module")
def usual(stream):
    return oddity.usual(stream, VOCAB)


def batch_of(rows: np.ndarray, domain: np.ndarray) -> Batch:
    """Two micro-batches."""
    ids = np.repeat(domain[:, None], rows.shape[1], 1)
    fields = {name: np.zeros_like(rows) for name in Batch._fields}
    fields |= {"tokens": rows, "domain_ids": ids}
    return Batch(**{name: value.reshape(2, -1, LENGTH) for name, value in fields.items()})


@pytest.mark.parametrize("shape", [{}, {"data": 2, "fsdp": 2, "context": 2}], ids=["one", "eight"])
def test_sums_over_the_mesh_are_those_of_the_host(stream, usual, shape):
    rows = stream.sequences(np.arange(8) % 3, np.arange(8))
    rows[::4] = 7
    domain = np.arange(8, dtype=np.int32) % 3
    mesh = sharding.make_mesh(shape, None if shape else jax.devices()[:1])
    with jax.set_mesh(mesh):
        told = np.asarray(oddity.measure(usual, batch_of(rows, domain), mesh, 4))
    by_hand = tokens.oddity(usual, rows, domain)
    expected = np.zeros_like(told)
    np.add.at(expected, domain, by_hand)
    np.testing.assert_array_equal(told, expected)
    assert told[:, 0].sum() == 8 and np.abs(told[0, 1:]).max() > 400


def test_the_stores_own_sequences_are_usual_and_random_tokens_are_not(stream, usual):
    rng = np.random.default_rng(0)
    names, first = stream.domains, None
    state = tokens.start(len(names))
    for step in range(1, 61):
        domain = rng.integers(0, len(names), 8)
        index = np.array([rng.integers(stream.sizes[names[d]]) for d in domain])
        rows = stream.sequences(domain, index)
        if step > 40:
            rows[domain == 0] = rng.integers(0, VOCAB, rows.shape)[domain == 0]
        sums = np.zeros((len(names), tokens.FIELDS))
        np.add.at(sums, domain, tokens.oddity(usual, rows, domain))
        state, raised = tokens.observe(state, sums, step=step, names=names)
        if raised:
            first = first or (step, {alarm.evidence["domain"] for alarm in raised})
    assert 40 < first[0] <= 58 and first[1] == {names[0]}


def test_a_store_that_joins_changes_nothing_for_the_others(stream, usual, new):
    wide = Stream(join(stream.store, open_store(new)), LENGTH)
    after, known = oddity.usual(wide, VOCAB), len(stream.domains)
    assert wide.domains[known:] == ("zh_new",)
    np.testing.assert_array_equal(after.surprise_V, usual.surprise_V)
    np.testing.assert_array_equal(after.mean_MS[:known], usual.mean_MS)
    np.testing.assert_array_equal(after.scale_MS[:known], usual.scale_MS)
    rows = wide.sequences(np.full(8, known), np.arange(8))
    assert tokens.oddity(after, rows, np.full(8, known))[:, 0].all()
