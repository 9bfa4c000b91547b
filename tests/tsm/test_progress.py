import math

import numpy as np
import pytest

from aquila_jax.tsm import progress
from tests.tsm.synthetic import filled


def test_line_finds_the_slope_it_was_given():
    seen = progress.recent_line(filled(lambda n: [9 - 0.3 * np.log(n), 5 - 0.1 * np.log(n)]))
    np.testing.assert_allclose(seen.slope_M, [-0.3, -0.1], rtol=2e-3)  # a block is not a point
    slope, _ = progress.overall(filled(lambda n: [9 - 0.3 * np.log(n)] * 2), seen)
    assert slope == pytest.approx(-0.2, rel=2e-3)


def test_errors_equal_the_sandwich_of_newey_and_west():
    rng = np.random.default_rng(0)
    x, y, w = np.sort(rng.random(60)), rng.normal(size=(60, 1)), rng.random((60, 1)) + 0.1
    design = np.stack((np.ones(60), x), 1)
    bread = np.linalg.inv(design.T @ (w * design))
    beta = bread @ design.T @ (w * y)
    scores = design * w * (y - design @ beta)
    meat = scores.T @ scores
    for lag in range(1, 11):
        cross = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / 11) * (cross + cross.T)
    covariance = bread @ meat @ bread * 60 / 58 * (1 + 1.515 * 10 / 60) ** 2
    seen = progress.newey_west_line(x, y, w)
    assert seen.slope_M[0] == pytest.approx(beta[1, 0])
    assert seen.error_M[0] == pytest.approx(np.sqrt(covariance[1, 1]))


def test_errors_are_honest_for_correlated_noise():
    rng = np.random.default_rng(0)
    x, count = np.log(np.linspace(2, 3, 80)), 400
    noise = np.zeros((80, count))
    for k in range(1, 80):
        noise[k] = 0.5 * noise[k - 1] + rng.standard_normal(count)
    seen = progress.newey_west_line(x, noise, np.ones_like(noise))
    robust = np.abs(seen.slope_M / seen.error_M) > 1.96
    assert 0.03 < robust.mean() < 0.13  # ordinary errors would reject about 0.26


def test_a_domain_with_too_little_data_stays_unknown():
    state = filled(lambda n: [5.0, 4.0])
    state = state._replace(counts_KM=state.counts_KM * [1, 0], nats_KM=state.nats_KM * [1, 0])
    seen = progress.recent_line(state)
    assert np.isfinite(seen.slope_M[0]) and np.isnan(seen.slope_M[1])
    assert progress.overall(state, seen)[0] == pytest.approx(0.0, abs=1e-12)


def test_plateau_is_a_matter_of_what_ten_per_cent_more_would_bring():
    learning, gain, threshold = progress.plateau(loss=2.0, slope=-0.2, error=0.001)
    assert learning < 1e-6 and gain == pytest.approx(0.2 * np.log(1.1)) and threshold == 0.002
    flat, *_ = progress.plateau(loss=2.0, slope=-0.005, error=0.001)
    unsure, *_ = progress.plateau(loss=2.0, slope=-0.005, error=0.1)
    assert flat > 0.99 and 0.4 < unsure < 0.7


def test_imbalance_names_the_language_that_stopped_and_no_other():
    def stopped(n):
        return [2 + 60 * n**-0.3, 2.2 + 60 * min(n, 1.9e6) ** -0.3, 1.9 + 50 * n**-0.28]

    gap, p = progress.imbalance(*progress.off_trend(filled(stopped, noise=0.01)))
    assert p[1] < 0.01 and gap[1] > 0.01
    assert p[0] > 0.01 and p[2] > 0.01


def test_imbalance_is_a_matter_of_differences():
    gap, p = progress.imbalance(np.array([0.05, 0.05, 0.05]), np.full(3, 0.001))
    np.testing.assert_allclose(gap, 0.0, atol=1e-12)
    assert p.min() > 0.4
    _, p = progress.imbalance(np.array([0.05, 0.0, 0.0]), np.full(3, 0.01))
    pooled = 0.01 * np.sqrt(1.5)
    assert p[0] == pytest.approx(3 * 0.5 * math.erfc(0.05 / pooled / math.sqrt(2)))
    _, p = progress.imbalance(np.array([0.05, np.nan]), np.array([0.001, np.nan]))
    assert p.tolist() == [1.0, 1.0]


def test_imbalance_is_silent_on_healthy_languages():
    def healthy(n):
        return [2 + 60 * n**-0.3, 1.5 + 20 * n**-0.2]

    false = 0
    for seed in range(15):
        excess, error = progress.off_trend(filled(healthy, noise=0.03, seed=seed, steps=400))
        gap, p = progress.imbalance(excess, error)
        false += bool(((p < 0.01) & (gap > 0.01)).any())
    assert false == 0


def test_holm_equals_its_definition():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(progress.holm(p), [0.03, 0.06, 0.06, 0.02])
    assert progress.holm(np.array([0.9, 0.8])).max() <= 1
