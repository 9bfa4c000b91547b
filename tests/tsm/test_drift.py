"""Updates that creep up at a rate that did not: told early, and never where all is as planned."""

import math

import numpy as np
import pytest

from aquila_jax.tsm import drift

SETTINGS = drift.DriftSettings()
USUAL = SETTINGS.window + SETTINGS.gap  # steps before anything can be told


def follow(factors, *, rates=None, batches=None, noise=0.03, seed=0):
    """The alarms of a run whose quotient is `factors` times 12, step by step."""
    rng = np.random.default_rng(seed)
    rates = np.ones(len(factors)) if rates is None else rates
    batches = np.full(len(factors), 8) if batches is None else batches
    state, raised = drift.start(), []
    for step, (factor, rate, batch) in enumerate(zip(factors, rates, batches, strict=True), 1):
        ratio = 12 * factor * rate * math.exp(noise * rng.standard_normal())
        state, alarms = drift.observe(
            SETTINGS, state, step=step, ratio=ratio, learning_rate=rate, batch=int(batch)
        )
        raised += alarms
    return raised


@pytest.mark.parametrize("growth,by", [(1.04, 13), (1.02, 22), (1.01, 40)])
def test_growth_by_a_few_per_cent_a_step_is_told(growth, by):
    after = np.maximum(np.arange(400) - 200, 0)
    for seed in range(20):
        first = follow(growth**after, seed=seed)[0]
        assert 200 < first.step <= 200 + by + 1
        assert first.evidence["factor"] > SETTINGS.factor


def test_a_jump_is_told_in_a_few_steps():
    assert follow(np.where(np.arange(400) >= 300, 3.0, 1.0))[0].step <= 303


def test_the_rate_itself_may_do_what_it_likes():
    """Warm-up, decay to nothing, a rate lowered and raised again: it was asked for."""
    t = np.arange(2000)
    rates = 4e-3 * np.minimum((t + 1) / 200, 1) * np.minimum((2000 - t) / 400, 1)
    rates *= np.where((t > 800) & (t < 1000), 0.1, 1.0)
    assert follow(np.ones(2000), rates=rates) == []


def test_a_batch_of_another_size_begins_anew():
    grown = np.arange(400) >= 200
    factors, batches = np.where(grown, 1.4, 1.0), np.where(grown, 16, 8)
    assert follow(factors, batches=batches) == []
    assert follow(factors) != []


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.15, 0.4])
def test_noise_and_slow_change_are_not_told(noise):
    slow = 1 + 0.4 * np.arange(1500) / 1500
    assert all(follow(slow, noise=noise, seed=seed) == [] for seed in range(10))


def test_a_lasting_change_becomes_usual():
    raised = follow(np.where(np.arange(600) >= 200, 2.0, 1.0))
    assert raised[-1].step <= 200 + USUAL + 5


@pytest.mark.parametrize("ratio", [0.0, math.nan, math.inf])
def test_a_step_without_an_update_tells_nothing(ratio):
    state = drift.start()
    told = drift.observe(SETTINGS, state, step=1, ratio=ratio, learning_rate=1e-3, batch=8)
    assert told == (state, ())
