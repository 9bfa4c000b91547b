"""The speed of learning against the law that made the curve, and its error against many draws."""

import numpy as np
import pytest

from aquila_jax.tsm import history, learning


def made(*curves, blocks=60, noise=0.0, seed=0):
    """A history of domains with these losses at n = 1 .. blocks."""
    rng, n = np.random.default_rng(seed), np.arange(1, blocks + 1, dtype=float)
    losses_KM = np.stack([curve(n) for curve in curves], 1)
    losses_KM = losses_KM + noise * rng.standard_normal(losses_KM.shape)
    counts = np.full_like(losses_KM, 1000.0)
    past = history.start(len(curves))
    return past._replace(
        step_K=4 * np.arange(1, blocks + 1), tokens_K=1000 * n, learning_rate_K=n, batch_K=n,
        nats_KM=losses_KM * counts, counts_KM=counts,
    )  # fmt: skip


def law(floor, scale, exponent):
    return lambda n: floor + scale * n**-exponent


@pytest.mark.parametrize("exponent", [0.1, 0.35, 0.7])
def test_the_slope_of_a_law_is_found(exponent):
    told = learning.learning(made(law(2.0, 3.0, exponent)))
    true = exponent * 3.0 * 60**-exponent  # -dL / d ln n at n = 60
    assert told.speed_M[0] == pytest.approx(true, rel=0.02)
    assert told.error_M[0] < 0.1


def test_the_error_is_that_of_repeated_draws():
    draws = [learning.learning(made(law(2.0, 3.0, 0.35), noise=0.05, seed=i)) for i in range(60)]
    spread = np.std([np.log(told.speed_M[0]) for told in draws])
    claimed = np.median([told.error_M[0] for told in draws])
    assert 0.5 * spread < claimed < 2.0 * spread


def test_what_cannot_be_learned_is_slow_and_uncertain_and_what_is_not_known_is_nan():
    told = learning.learning(
        made(law(2, 3, 0.3), lambda n: 8 + 0 * n, lambda n: np.nan * n, noise=0.01)
    )
    assert told.speed_M[1] < 0.05 * told.speed_M[0]
    assert told.error_M[1] > told.error_M[0]
    assert np.isnan(told.speed_M[2]) and np.isnan(told.error_M[2])
    few = learning.learning(made(law(2, 3, 0.3), blocks=9))
    assert np.isnan(few.speed_M).all()
    assert len(learning.learning(history.start(2)).speed_M) == 2


def test_a_plunge_at_the_beginning_is_not_held_for_speed_later_on():
    """Random characters cost less as soon as it is known how often each comes, and no less after."""
    plunge = lambda n: 4.0 + 3.6 * np.exp(-n / 6)  # noqa: E731
    told = learning.learning(made(law(2.0, 3.0, 0.35), plunge, noise=0.02))
    assert told.speed_M[1] < 0.1 * told.speed_M[0]


def test_the_loss_to_come_is_foreseen_within_its_error():
    true = law(2.0, 3.0, 0.35)
    errors = []
    for seed in range(40):
        told = learning.level(made(true, noise=0.05, seed=seed), 66_000.0)
        errors.append((told.loss_M[0] - true(66.0)) / told.error_M[0])
    assert abs(np.mean(errors)) < 0.5 and 0.5 < np.std(errors) < 2.0


def test_what_was_known_before_is_a_part_of_what_is_known():
    whole = made(law(2.0, 3.0, 0.35), noise=0.05)
    part = learning.until(whole, 40_000.0)
    assert part.tokens_K[-1] == 40_000 and len(part.nats_KM) == len(part.step_K) == 40
    same = learning.learning(part), learning.learning(learning.until(part, 1e9))
    np.testing.assert_array_equal(*(told.speed_M for told in same))
