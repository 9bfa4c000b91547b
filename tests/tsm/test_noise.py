import math

import numpy as np
import pytest

from aquila_jax.tsm import noise


def observe_many(rng, true_gradient, deviation, *, batch, micro_batches, steps):
    """The monitor's way, on gradients whose every sequence has the same Gaussian noise."""
    state, settings = noise.start(), noise.NoiseSettings()
    size = batch // micro_batches
    for _ in range(steps):
        spread = (
            deviation / math.sqrt(size) * rng.standard_normal((micro_batches, len(true_gradient)))
        )
        micro = true_gradient + spread
        state = noise.observe(
            settings,
            state,
            micro_grad_square=float((micro**2).sum(1).mean()),
            grad_norm=float(np.linalg.norm(micro.mean(0))),
            batch=batch,
            micro_batches=micro_batches,
        )
    return state


def test_nothing_is_told_before_half_of_the_blocks_are_full():
    enough = noise.NoiseSettings().block * noise.BLOCKS // 2
    given = dict(true_gradient=np.full(50, 0.1), deviation=0.1, batch=8, micro_batches=8)
    rng = np.random.default_rng(0)
    assert noise.scale(observe_many(rng, **given, steps=enough - 1)) is None
    assert noise.scale(observe_many(rng, **given, steps=enough)) is not None


@pytest.mark.parametrize("batch,micro_batches", [(8, 8), (32, 4), (64, 8)])
def test_known_noise_scale_is_found_for_any_batch(batch, micro_batches):
    rng = np.random.default_rng(batch)
    gradient, deviation = np.full(50, 0.1), 0.6
    truth = 50 * deviation**2 / float(gradient @ gradient)  # tr(Sigma) / |G|^2 = 36
    state = observe_many(
        rng, gradient, deviation, batch=batch, micro_batches=micro_batches, steps=800
    )
    seen = noise.scale(state)
    assert seen.value == pytest.approx(truth, rel=0.25)
    assert seen.low < seen.value < seen.high


def test_the_pair_is_unbiased_even_where_the_gradient_drowns():
    rng = np.random.default_rng(0)
    gradient, deviation, batch, micro = np.full(10, 0.05), 1.0, 16, 8
    pairs = []
    for _ in range(6000):
        each = gradient + deviation / math.sqrt(batch / micro) * rng.standard_normal((micro, 10))
        squares = float((each**2).sum(1).mean()), float((each.mean(0) ** 2).sum())
        pairs.append(noise.pair(*squares, batch=batch, micro_batches=micro))
    trace, square = np.mean(pairs, 0)
    assert (np.array(pairs)[:, 1] < 0).mean() > 0.2  # so a mean of ratios would be nonsense
    assert trace == pytest.approx(10.0, rel=0.03)
    assert square == pytest.approx(10 * 0.05**2, abs=4 * np.std(pairs, 0)[1] / math.sqrt(6000))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    truth = 50 * 0.36 / 0.5
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        state = observe_many(rng, np.full(50, 0.1), 0.6, batch=32, micro_batches=8, steps=200)
        seen = noise.scale(state)
        covered += seen.low <= truth <= seen.high
    assert 32 <= covered <= 40


def test_estimate_agrees_with_a_direct_measurement_on_linear_regression():
    """Gradients of (w x - y)^2 / 2 at a fixed w, whose noise is neither Gaussian nor even."""
    rng = np.random.default_rng(3)
    weights, truth = rng.normal(size=20), rng.normal(size=20)

    def gradients(batch, repeats):
        x = rng.normal(size=(repeats, batch, 20))
        error = x @ (weights - truth) + 2.0 * rng.standard_normal((repeats, batch))
        return (error[..., None] * x).mean(1)

    direct = noise.measured(gradients(64, 2000), 64)
    state, settings = noise.start(), noise.NoiseSettings()
    for _ in range(800):
        micro = gradients(4, 8)
        state = noise.observe(
            settings,
            state,
            micro_grad_square=float((micro**2).sum(1).mean()),
            grad_norm=float(np.linalg.norm(micro.mean(0))),
            batch=32,
            micro_batches=8,
        )
    # Closed form: Cov = (|d|^2 + sigma^2) I + d d^T for Gaussian x, d = w - truth.
    square = float((weights - truth) @ (weights - truth))
    closed = (20 * (square + 4.0) + square) / square
    assert direct == pytest.approx(closed, rel=0.1)
    assert noise.value(state) == pytest.approx(closed, rel=0.2)


def test_nothing_is_claimed_without_evidence():
    state, settings = noise.start(), noise.NoiseSettings()
    for grad_norm, micro_batches in ((1.0, 1), (math.nan, 4), (math.inf, 4)):
        assert state is noise.observe(
            settings,
            state,
            micro_grad_square=2.0,
            grad_norm=grad_norm,
            batch=8,
            micro_batches=micro_batches,
        )
    assert noise.value(state) is None and noise.scale(state) is None
