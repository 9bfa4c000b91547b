import dataclasses

import numpy as np
import pytest

from aquila_jax.tsm import progress, survey
from tests.tsm.synthetic import context, filled

SETTINGS = survey.SurveySettings()


def look(loss_of, *, looks=(1000,), settings=SETTINGS, noise=0.01):
    """Alarms of several looks at one run, as kinds."""
    state, raised = survey.start(), []
    for step in looks:
        seen = filled(loss_of, steps=step, noise=noise)
        state, alarms = survey.look(
            settings,
            state,
            seen,
            context=context(step, tokens=step * 2000.0),
            languages=("en", "zh"),
        )
        raised += [(step, alarm.kind) for alarm in alarms]
    return raised, state


def falling(n):
    return [2 + 60 * n**-0.3, 2.2 + 60 * n**-0.3]


def test_a_learning_run_is_quiet_and_its_speed_known():
    raised, state = look(falling, looks=(300, 600, 1000), noise=0.002)
    assert raised == []
    n = 2000 * 1000 * np.sqrt(2 / 3)
    expected = -0.3 * 60 * n**-0.3  # dL / d ln n at the middle of the last third
    assert state.slope == pytest.approx(expected, rel=0.05)
    assert 0 < state.slope_error < 0.1 * abs(expected)


def test_a_plateau_needs_confirmation():
    looks = (600, 610, 640, 680, 720)  # the second comes too soon to count
    raised, _ = look(lambda n: [3.0, 3.1] if n > 2e5 else falling(n), looks=looks, noise=0.0005)
    plateaus = [step for step, kind in raised if kind == "plateau"]
    assert plateaus == [680, 720]


def test_a_loss_that_rises_is_no_plateau():
    looks = (600, 640, 680, 720)
    raised, _ = look(lambda n: [3.0 + n / 1e6, 3.1 + n / 1e6], looks=looks, noise=0.0005)
    assert "plateau" not in [kind for _, kind in raised]


def test_a_run_that_cannot_learn_is_told_and_a_slow_one_is_not():
    def hopeless(n):
        return [10.4, 10.4]

    assert (400, "stalled") in look(hopeless, looks=(200, 400))[0]
    assert look(hopeless, looks=(200,))[0] == []
    slow, _ = look(lambda n: [2.5 - 0.01 * np.log(n)] * 2, looks=(200, 400), noise=0.001)
    assert "stalled" not in [kind for _, kind in slow]


def test_early_steps_that_could_not_be_trusted_are_not_the_first_loss():
    seen = filled(lambda n: [10.4, 10.4], steps=400)
    lost = np.arange(len(seen.step_K))[:, None] >= 2
    seen = seen._replace(nats_KM=seen.nats_KM * lost, counts_KM=seen.counts_KM * lost)
    given = {"context": context(400, tokens=8e5), "languages": ("en", "zh")}
    state, raised = survey.look(SETTINGS, survey.start(), seen, **given)
    assert state.first_loss == pytest.approx(10.4) and "stalled" in [a.kind for a in raised]
    none = seen._replace(counts_KM=0 * seen.counts_KM)
    state, raised = survey.look(SETTINGS, survey.start(), none, **given)
    assert np.isnan(state.first_loss) and raised == ()


def test_a_language_that_stops_is_told():
    def stopped(n):
        return [2 + 60 * n**-0.3, 2.2 + 60 * min(n, 1.25e6) ** -0.3]

    raised, _ = look(stopped, noise=0.003)
    assert [kind for _, kind in raised] == ["imbalance"]
    alone = dataclasses.replace(SETTINGS, imbalance_level=0.0)
    assert look(stopped, settings=alone, noise=0.003)[0] == []


def test_a_mixture_that_moves_within_a_language_is_no_imbalance():
    """A hard domain gains on an easy one of its language; both are learned as before."""
    seen = filled(lambda n: [2 + 60 * n**-0.3, 1 + 30 * n**-0.3, 2.2 + 60 * n**-0.3], noise=0.003)
    late = np.arange(len(seen.step_K)) > 0.7 * len(seen.step_K)
    moved = np.where(late[:, None], [1.8, 0.2, 1.0], 1.0)
    seen = seen._replace(nats_KM=seen.nats_KM * moved, counts_KM=seen.counts_KM * moved)
    given = {"context": context(1000, tokens=3e6), "languages": ("en", "en", "zh")}
    _, raised = survey.look(SETTINGS, survey.start(), seen, **given)
    assert raised == ()


def test_the_first_weights_have_no_distance_and_a_new_shape_starts_anew():
    state, first = survey.follow_weights(survey.start(), np.full((9, 4), 0.02), 1e9)
    state, second = survey.follow_weights(state, np.full((9, 4), 0.03), 3e9)
    state, third = survey.follow_weights(state, np.full((9, 8), 0.03), 4e9)
    assert first is None and third is None
    assert second["gate"] == pytest.approx(0.005)


def test_too_little_history_says_nothing():
    seen = filled(falling, steps=4 * (progress.MINIMUM_BLOCKS - 1))
    state, alarms = survey.look(
        SETTINGS, survey.start(), seen, context=context(44), languages=("en", "zh")
    )
    assert alarms == () and np.isnan(state.slope)
