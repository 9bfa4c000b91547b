"""Predict, act, verify: what is expected of an action, how surely, and when that is judged."""

import dataclasses
import math

import numpy as np
import pytest

from aquila_jax.ate import trials
from aquila_jax.ate.memory import PolicyState
from aquila_jax.ate.situation import Proposal, Rule
from tests.ate.situations import PLANNED, situation


def opened(*, family="plan", slope=-0.3, jitter=0.0, **proposed):
    """A trial from step 300 on, of a rule that is judged 20 steps later."""
    given = situation()
    assessment = dataclasses.replace(given.assessment, slope=slope)
    rule = Rule("tried", family, 1, 1, lambda s: None)
    return trials.open_trial(
        PolicyState(clock=300, loss=4.0, jitter=jitter),
        dataclasses.replace(given, assessment=assessment),
        rule=rule,
        proposal=Proposal({"lr_scale": 0.5}, **proposed),
        control=PLANNED,
    )


@pytest.mark.parametrize("family", ["plan", "batch"])
def test_a_healthy_run_is_expected_where_its_slope_leads(family):
    expected = 4.0 - 0.3 * math.log(320 / 300)  # nats over the logarithm of the tokens
    assert opened(family=family).expected == pytest.approx(expected)


@pytest.mark.parametrize("slope", [0.3, math.nan])
def test_no_action_may_do_worse_because_the_loss_rose_before(slope):
    assert opened(slope=slope).expected == 4.0


def test_the_loss_cannot_judge_what_has_not_begun():
    assert opened(judged=False).expected == math.inf


def test_in_trouble_the_level_counts():
    assert opened(family="rate").expected == 4.0


def test_the_error_is_that_of_the_difference_of_two_smoothed_losses():
    """By simulation: the smoothed loss goes a tenth of the way to each loss."""
    smooth, seen = 4.0, []
    for loss in 4.0 + 0.2 * np.random.default_rng(0).normal(size=20_000):
        smooth += 0.1 * (loss - smooth)
        seen.append(smooth)
    moves = np.abs(np.diff(seen)).mean()
    apart = np.std(np.subtract(seen[1000:], seen[:-1000]))
    assert opened(jitter=moves).error == pytest.approx(apart, rel=0.05)
    assert opened(jitter=0.0).error == trials.SEED_NOISE


def test_what_goes_back_is_judged_once_it_has_come_as_far_again():
    assert opened().due == 320 and opened(delay=50).due == 370
