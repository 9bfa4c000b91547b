import numpy as np
import pytest

from aquila_jax.tsm import tokens

NAMES, VOCAB, LENGTH = ("web", "news", "tiny"), 2000, 128


def text(rng, count):
    """Zipf-like tokens, which repeat as words do; each row of a document of its own taste."""
    taste = rng.uniform(1.15, 1.35, count)
    return np.stack([np.minimum(rng.zipf(a, LENGTH), VOCAB - 1) for a in taste])


@pytest.fixture(scope="module")
def usual():
    rng = np.random.default_rng(0)
    return tokens.usual([text(rng, 64), text(rng, 64), text(rng, 6)], VOCAB)


def follow(usual, batches):
    """The first step that raised something, and what; batches are (tokens, domains)."""
    state = tokens.start(len(NAMES))
    for step, (rows, domain) in enumerate(batches, 1):
        odd = tokens.oddity(usual, rows, domain)
        sums = np.stack([odd[domain == m].sum(0) for m in range(len(NAMES))])
        state, raised = tokens.observe(state, sums, step=step, names=NAMES)
        if raised:
            return step, raised
    return None, ()


def test_statistics_equal_their_definition():
    rng = np.random.default_rng(1)
    batch, surprise = rng.integers(0, 6, (5, 12)), rng.random(6)
    rows = [
        (np.mean([surprise[t] for t in row]), len(set(row)) / 12,
         max(row.count(t) for t in row) / 12, np.mean(np.diff(row) == 0))
        for row in batch.tolist()
    ]  # fmt: skip
    np.testing.assert_allclose(tokens.statistics(batch, surprise), rows)


def test_healthy_text_is_silent(usual):
    rng = np.random.default_rng(2)
    domain = np.arange(6) % 3
    assert follow(usual, [(text(rng, 6), domain) for _ in range(500)]) == (None, ())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rng, rows: np.full_like(rows, 7),
        lambda rng, rows: np.tile(rows[:, :8], 16),
        lambda rng, rows: np.repeat(rows[:, ::4], 4, axis=1),
        lambda rng, rows: rng.integers(0, VOCAB, rows.shape),
    ],
    ids=["constant", "one document", "stutter", "random"],
)
def test_a_bad_shard_is_told_within_a_few_sequences_and_by_its_domain(usual, spoil):
    rng = np.random.default_rng(3)
    batches = [(text(rng, 4), np.arange(4) % 2) for _ in range(40)]
    for rows, domain in batches[30:]:
        rows[domain == 1] = spoil(rng, rows[domain == 1])
    step, [alarm] = follow(usual, batches)
    assert 31 <= step <= 34 and alarm.evidence["domain"] == "news"
    assert abs(alarm.evidence["deviations"]) > 7


@pytest.mark.parametrize("count", [1, 8, 64])
def test_an_alarm_tells_deviations_of_the_average_of_so_many_sequences(count):
    rng, state, averages = np.random.default_rng(0), tokens.start(1), []
    for step in range(1, 4001):
        sums = 100 * rng.normal(0, count**0.5, (1, len(tokens.STATISTICS)))
        sums = np.append([[count]], sums, axis=1)
        state, raised = tokens.observe(state, sums, step=step, names=("web",))
        averages.append(state.odd_MS)
        assert raised == ()
    assert np.std(averages) == pytest.approx(tokens.spread(count), rel=0.05)
    sums = np.array([[count, *[500 * count] * len(tokens.STATISTICS)]])
    for step in range(8):
        state, raised = tokens.observe(state, sums, step=step, names=("web",))
    told = raised[0].evidence["deviations"]
    assert told == pytest.approx(np.abs(state.odd_MS).max() / np.std(averages), rel=0.05)


def test_a_domain_with_too_little_text_to_know_is_not_judged(usual):
    odd = tokens.oddity(usual, np.full((2, LENGTH), 7), np.array([2, 0]))
    assert (odd[0] == 0).all() and odd[1, 0] == 1 and np.abs(odd[1, 1:]).max() == 500
