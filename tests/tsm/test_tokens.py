import numpy as np
import pytest

from aquila_jax.tsm import tokens

NAMES = ("web", "news")


def text(rng, count, length=128, vocab=2000):
    """Zipf-like tokens, which repeat as words do."""
    return np.minimum(rng.zipf(1.2, (count, length)), vocab)


@pytest.fixture
def store():
    rng = np.random.default_rng(0)
    return tokens.measure(text(rng, 400), np.arange(400) % 2, 2)


def test_statistics_equal_their_definition():
    rng = np.random.default_rng(1)
    batch, ids = rng.integers(0, 6, (5, 12)), np.array([0, 1, 1, 0, 1])
    seen = tokens.measure(batch, ids, 3)
    rows = [
        (len(set(row)) / 12, max(row.count(t) for t in row) / 12, np.mean(np.diff(row) == 0))
        for row in batch.tolist()
    ]
    for domain in (0, 1):
        expected = np.mean([row for row, i in zip(rows, ids, strict=True) if i == domain], 0)
        observed = [getattr(seen, f"{name}_M")[domain] for name in tokens.STATISTICS]
        np.testing.assert_allclose(observed, expected)
    assert np.isnan(seen.top_M[2])


def test_healthy_batches_are_silent(store):
    rng = np.random.default_rng(2)
    for step in range(200):
        seen = tokens.measure(text(rng, 8), np.arange(8) % 2, 2)
        assert tokens.compare(store, seen, step=step, names=NAMES) == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rng, rows: np.full_like(rows, 7),
        lambda rng, rows: np.tile(rows[:, :8], 16),
        lambda rng, rows: np.repeat(rows[:, ::4], 4, axis=1),
        lambda rng, rows: rng.integers(0, 50000, rows.shape),
    ],
    ids=["constant", "period", "stutter", "random"],
)
def test_spoiled_text_is_told_of_its_domain_only(store, spoil):
    rng = np.random.default_rng(3)
    batch, ids = text(rng, 8), np.arange(8) % 2
    batch[ids == 1] = spoil(rng, batch[ids == 1])
    raised = tokens.compare(store, tokens.measure(batch, ids, 2), step=5, names=NAMES)
    assert raised and {alarm.evidence["domain"] for alarm in raised} == {"news"}
