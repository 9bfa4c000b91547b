"""A move of online weights that does harm is taken back once, and fewer are made from then on."""

import numpy as np
import pytest

from aquila_jax.ate.situation import MentorConfig
from aquila_jax.train import mixing
from aquila_jax.train.mixing import MixState, Supply
from aquila_jax.tsm import history as histories
from aquila_jax.tsm import snapshot

CONFIG = MentorConfig(mode="act", online_weights="aquila")
LANGUAGES = {"slow": "en", "fast": "zh"}
EVEN = {"slow": 0.5, "fast": 0.5}


def made(blocks, harm=0.0, since=10**9):
    """Two laws of different speed; from block `since` on both cost `harm` nats more."""
    rng, n = np.random.default_rng(0), np.arange(1, blocks + 1, dtype=float)
    losses_KM = np.stack([2 + 3 * n**-0.2, 2 + 6 * n**-0.5], 1)
    losses_KM += 0.01 * rng.standard_normal(losses_KM.shape) + harm * (n > since)[:, None]
    counts = np.full_like(losses_KM, 1000.0)
    return histories.start(2)._replace(
        step_K=4 * np.arange(1, blocks + 1), tokens_K=1000 * n, learning_rate_K=n, batch_K=n,
        nats_KM=losses_KM * counts, counts_KM=counts,
    )  # fmt: skip


def propose(state, history, weights):
    sizes, seen = dict.fromkeys(EVEN, 10_000), dict.fromkeys(EVEN, 10.0)
    supply = Supply(phase=0, prior=EVEN, weights=weights, sizes=sizes, seen=seen, left=1000)
    return mixing.propose(CONFIG, state, history, supply=supply, languages=LANGUAGES)


@pytest.fixture(scope="module")
def moved():
    return propose(MixState(), made(60), EVEN)


def test_the_faster_domain_gains(moved):
    state, mix = moved
    assert mix.weights["fast"] > 0.5 and state.before == EVEN and state.pause == 1
    assert snapshot.from_json(MixState, snapshot.to_json(state)) == state


def test_a_move_that_did_no_harm_is_followed_by_the_next(moved):
    state, mix = moved
    later, more = propose(state, made(66), mix.weights)
    assert more.weights["fast"] > mix.weights["fast"]
    assert later.pause == 1 and "undo" not in more.evidence


def test_a_move_that_did_harm_is_taken_back_and_the_pause_doubles(moved):
    state, mix = moved
    history = made(72, harm=0.3, since=62)
    state, undone = propose(state, history, mix.weights)
    assert undone.weights == EVEN and state.pause == 2 and not state.asked
    assert undone.evidence["undo"] > 2 * undone.evidence["standard_error"]
    state, rests = propose(state, history, EVEN)
    assert rests is None
    state, again = propose(state, history, EVEN)
    assert again is not None and state.rest == 1


def test_what_somebody_else_has_set_since_is_not_taken_back(moved):
    state, _ = moved
    _, mix = propose(state, made(72, harm=0.3, since=62), {"slow": 0.8, "fast": 0.2})
    assert "undo" not in mix.evidence


def test_moves_are_seldom_taken_back_without_cause():
    taken = 0
    for blocks in range(40, 200, 4):
        state, mix = propose(MixState(), made(blocks), EVEN)
        _, then = propose(state, made(blocks + 4), mix.weights)
        taken += then is not None and "undo" in then.evidence
    assert taken <= 4
