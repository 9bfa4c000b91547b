import functools

import numpy as np
import pytest

from aquila_jax.core.signals import PARAMETER_TYPES
from aquila_jax.tsm import trajectory


def brute_force(first, second):
    """The textbook recursion of Eiter and Mannila."""

    @functools.cache
    def leash(i, j):
        cost = float(np.linalg.norm(first[i] - second[j]))
        if i == 0 and j == 0:
            return cost
        ways = [(i - 1, j), (i, j - 1), (i - 1, j - 1)]
        return max(cost, min(leash(a, b) for a, b in ways if a >= 0 and b >= 0))

    return leash(len(first) - 1, len(second) - 1)


@pytest.mark.parametrize("seed", range(20))
def test_frechet_equals_the_recursion(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, 2)
    first, second = (np.cumsum(rng.normal(size=(size, 2)), 0) for size in sizes)
    assert trajectory.frechet(first, second) == pytest.approx(brute_force(first, second), abs=1e-12)


def test_frechet_is_a_distance_of_curves():
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 9, 2))
    assert trajectory.frechet(a, a) == 0
    assert trajectory.frechet(a, b) == pytest.approx(trajectory.frechet(b, a))
    assert trajectory.frechet(a, b) == pytest.approx(trajectory.frechet(a[::-1], b[::-1]))
    assert trajectory.frechet(a, c) <= trajectory.frechet(a, b) + trajectory.frechet(b, c)
    # A walker who turns back must be waited for: more than the distance of the point sets.
    line = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    detour = line[[0, 1, 2, 0, 1, 2, 3]]
    assert trajectory.frechet(line, detour) == 1.0


def test_distances_are_the_largest_change_of_a_layer_per_billion_tokens():
    rng = np.random.default_rng(2)
    before = rng.uniform(0.01, 0.05, (len(PARAMETER_TYPES), 24))
    after = before + rng.normal(0, 0.01, before.shape)
    seen = trajectory.distances(before, after, 2.5)
    assert tuple(seen) == PARAMETER_TYPES
    expected = np.abs(after - before).max(1) / 2.5
    np.testing.assert_allclose(list(seen.values()), expected, rtol=1e-12)


def test_bad_input_is_told():
    curve = np.ones((len(PARAMETER_TYPES), 4))
    with pytest.raises(ValueError, match="must both be"):
        trajectory.distances(curve, curve[:, :3], 1.0)
    with pytest.raises(ValueError, match="must be positive"):
        trajectory.distances(curve, curve, 0.0)
    with pytest.raises(ValueError, match="at least one point"):
        trajectory.frechet(np.zeros((0, 2)), np.zeros((3, 2)))
