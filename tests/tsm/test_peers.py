import math

import numpy as np
import pytest

from aquila_jax.tsm import peers
from aquila_jax.tsm.detect import Reading

SETTINGS = peers.PeerSettings()


def published(losses, norms):
    """The rule as its authors write it, on the whole lists, for the last step."""
    losses, norms = losses[-129:], norms[-129:]
    if len(losses) < max(20, 128 // 2):
        return False
    z = [abs(x[-1] - np.mean(x[:-1])) / np.std(x[:-1], ddof=1) for x in (losses, norms)]
    return not (z[0] <= 6 and z[1] <= 6)


def test_equals_the_published_rule_at_every_step():
    rng = np.random.default_rng(0)
    losses, norms = rng.normal(3, 0.1, 500), rng.gamma(20, 0.02, 500)
    losses[[20, 45, 90, 300]] = [9, 9, 8, 0.5]  # also downwards
    norms[[200, 210]] = 9
    losses[400] = np.nan
    state, flagged = peers.start(), 0
    for step in range(500):
        reading = Reading(step + 1, losses[step], norms[step], False)
        state, verdict = peers.observe(SETTINGS, state, reading)
        with np.errstate(invalid="ignore"):
            assert verdict.spike == published(losses[: step + 1], norms[: step + 1]), step
        flagged += verdict.spike
    assert flagged > 99  # the NaN alone stops all steps to the end


def test_limits_are_mean_plus_six_sigma_and_closed_by_a_nan():
    state = peers.PeerState(np.arange(100.0), np.arange(100.0) / 10)
    loss_limit, norm_limit = peers.limits(SETTINGS, state)
    assert loss_limit == pytest.approx(49.5 + 6 * np.std(np.arange(100), ddof=1))
    assert norm_limit == pytest.approx(loss_limit / 10)
    poisoned = state._replace(losses=np.append(state.losses, np.nan))
    assert peers.limits(SETTINGS, poisoned)[0] == -math.inf
    assert peers.limits(SETTINGS, peers.start()) == (math.inf, math.inf)
