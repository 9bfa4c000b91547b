import numpy as np
import pytest

from aquila_jax.tsm import series

SETTINGS = series.SeriesSettings(floor=0.01)


def learned(values):
    state = series.start()
    for value in values:
        state = series.learn(SETTINGS, state, float(value))
    return state


def test_spread_is_median_and_scale_of_a_normal():
    values = np.random.default_rng(0).normal(3.0, 0.2, 20000)
    centre, scale = series.spread(values, 0.01)
    assert centre == pytest.approx(np.median(values))
    assert scale == pytest.approx(0.2, rel=0.03)
    assert series.spread(np.full(9, 2.0), 0.01) == (2.0, 0.01)


def test_scale_follows_the_wider_upper_side():
    values = np.random.default_rng(0).exponential(1.0, 20000)
    mad = 1.4826 * np.median(np.abs(values - np.median(values)))
    assert series.spread(values, 0.01)[1] > 1.5 * mad


def test_limit_and_deviation_say_the_same():
    state = learned(np.random.default_rng(1).normal(0.5, 0.1, 200))
    limit = series.limit(SETTINGS, state, 6.0)
    assert series.deviation(SETTINGS, state, np.log(limit)) == pytest.approx(6.0)
    young = learned([0.5] * 31)
    assert series.limit(SETTINGS, young, 6.0) == np.inf
    assert series.deviation(SETTINGS, young, 1e9) == 0.0


def test_outliers_teach_nothing_until_they_are_the_rule():
    rng = np.random.default_rng(2)
    state = old = learned(rng.normal(1.0, 0.02, 128))
    for step in range(1, 32):
        state, relearned = series.set_aside(SETTINGS, state, step, value=3.0 + rng.normal(0, 0.02))
        assert not relearned
        assert state.values is old.values and state.trend == old.trend
    state, relearned = series.set_aside(SETTINGS, state, 32, value=3.0)
    assert relearned
    assert abs(series.deviation(SETTINGS, state, 3.0)) < 2
    assert series.deviation(SETTINGS, state, 1.0) < -20


def test_rare_outliers_are_forgotten():
    state = learned(np.zeros(128))
    for step in range(0, 4000, 3):  # one in three steps: 22 of 64
        state, relearned = series.set_aside(SETTINGS, state, step, value=2.0)
        assert not relearned
    assert len(state.outliers) <= 22
