import math

import numpy as np
import pytest

from aquila_jax.tsm import early_warning

SETTINGS = early_warning.WarningSettings()


def ratios(values, *, progress, settings=SETTINGS):
    state, raised = early_warning.start(2), []
    for step, ratio in enumerate(values, 1):
        state, alarms = early_warning.observe_ratio(
            settings, state, step=step, ratio=ratio, progress=progress(step)
        )
        raised += alarms
    return raised, state


def test_reference_curve_is_the_median_at_each_progress():
    progress = np.linspace(0, 1, 5000)
    curve = early_warning.reference_curve(progress, 0.01 * (1 + progress))
    assert len(curve) == 200
    settings = early_warning.WarningSettings(reference=curve)
    for at in (0.0, 0.3, 0.99):
        assert early_warning.expected_ratio(settings, at) == pytest.approx(
            0.01 * (1 + at), rel=0.01
        )
    assert early_warning.expected_ratio(SETTINGS, 0.5) is None


def test_a_short_proxy_has_fewer_parts_of_five_steps_each():
    ratios = np.array([1e-5, 1e-3, 2e-3, 3e-3, 4e-3, *[5e-3] * 45])
    curve = early_warning.reference_curve(np.arange(1, 51) / 50, ratios)
    assert len(curve) == 10 and curve[0] == pytest.approx(1.5e-3) and curve[5] == 5e-3
    assert len(early_warning.reference_curve(np.ones(1), np.ones(1))) == 1


def test_before_the_first_part_of_a_reference_no_rate_seems_too_high():
    """A run of many more steps than its proxy is only as far as the proxy was in its first one."""
    settings = early_warning.WarningSettings(reference=tuple(np.linspace(0.005, 1.995, 200)))
    for progress in (0.0025, 0.004, 0.5):
        assert early_warning.expected_ratio(settings, progress) == pytest.approx(2 * progress)
    assert early_warning.expected_ratio(settings, 0.0) == 0.005
    raised, _ = ratios(np.arange(60) * 1.5e-4, progress=lambda step: step / 5e4, settings=settings)
    assert raised == []


def test_reference_fires_at_once_and_says_by_how_much():
    settings = early_warning.WarningSettings(reference=(0.01,) * 200)
    raised, state = ratios([9.0, 9.0, 0.2], progress=lambda step: step / 500, settings=settings)
    assert raised[0].step == 3  # the first two are not like the middle of the curve's first part
    assert raised[0].evidence["scale"] == 0.5  # never more than halved at once
    assert raised[0].evidence["factor"] == pytest.approx(20.0)
    assert state.ratio == pytest.approx(0.2)
    raised, _ = ratios([0.03] * 9, progress=lambda step: step / 500, settings=settings)
    assert raised[0].evidence["scale"] == pytest.approx(0.025 / 0.03)
    raised, _ = ratios([0.02] * 500, progress=lambda step: step / 500, settings=settings)
    assert raised == []


def test_a_rate_that_falls_as_planned_is_not_too_high():
    """To nothing in the last steps, as a decay ends; the smoothed ratio comes after."""
    curve = 0.01 * (1 - np.sqrt(np.clip((np.arange(200) - 169.5) / 30, 0, 1)))
    settings = early_warning.WarningSettings(reference=tuple(curve))
    usual = [early_warning.expected_ratio(settings, step / 512) for step in range(1, 513)]
    raised, _ = ratios(usual, progress=lambda step: step / 512, settings=settings)
    assert raised == []
    raised, _ = ratios(3 * np.array(usual), progress=lambda step: step / 512, settings=settings)
    assert raised[-1].step == 512


def test_without_reference_only_the_absurd_is_told_and_not_at_the_start():
    raised, _ = ratios([0.2] * 50, progress=lambda step: step / 1000)
    assert raised[0].step == 20
    raised, _ = ratios([0.04] * 50, progress=lambda step: 0.5)
    assert raised == []


def log_z(values):
    state, raised = early_warning.start(1), []
    for step, value in enumerate(values, 1):
        state, alarms = early_warning.observe_log_z(SETTINGS, state, step=step, log_z_squared=value)
        raised += alarms
    return raised


def test_log_z_that_grows_fourfold_is_told_before_it_is_large():
    t = np.arange(2000)
    growing = 20 * np.exp(np.maximum(0, t - 1000) / 300)
    raised = log_z(growing)
    assert 1000 + 300 * math.log(4) <= raised[0].step <= 1000 + 300 * math.log(4) + 60
    assert raised[0].evidence["factor"] >= 4


@pytest.mark.parametrize(
    "values",
    [
        117 * np.exp(-np.arange(2000) / 100) + 20,  # settling from ln(vocabulary) squared
        20 * np.exp(np.arange(2000) / 1000),  # too slow
        0.01 * np.exp(np.arange(1500) / 300),  # too small to matter
        np.where(np.arange(900) == 500, 400.0, 20.0),  # one odd step
    ],
)
def test_log_z_that_behaves_is_not_told(values):
    rng = np.random.default_rng(0)
    assert log_z(values * np.exp(0.05 * rng.standard_normal(len(values)))) == []


def attention(values_KN, every=50):
    state, raised = early_warning.start(values_KN.shape[1]), []
    for k, values_N in enumerate(values_KN):
        state, alarms = early_warning.observe_attention(
            SETTINGS, state, step=every * (k + 1), logit_max_N=values_N
        )
        raised += alarms
    return raised


def test_crossing_of_the_attention_limit_is_foreseen():
    rng = np.random.default_rng(0)
    steps = 50 * np.arange(1, 41)
    truth = np.stack((np.full(40, 12.0), 10 * np.exp(steps / 700)), 1)
    raised = attention(truth * np.exp(0.02 * rng.standard_normal(truth.shape)))
    crossing = 700 * math.log(10)
    assert {alarm.evidence["layer"] for alarm in raised} == {1}
    assert raised[0].step < crossing - 500
    assert raised[0].evidence["crossing"] == pytest.approx(crossing, rel=0.15)


def test_attention_that_is_bounded_or_still_small_is_not_told():
    rng = np.random.default_rng(0)
    t = np.arange(1, 60)[:, None]
    bounded = 30 * (1 - np.exp(-t / 10)) * np.exp(0.05 * rng.standard_normal((59, 3)))
    assert [a for a in attention(bounded) if a.step > 400] == []
    assert attention(np.exp(0.2 * t[:15]) * 0.1 + np.zeros((15, 2))) == []
    assert attention(np.full((20, 2), np.nan)) == []


@pytest.mark.parametrize("odd", [np.inf, np.nan, 0.0, -1.0])
def test_a_layer_with_an_odd_maximum_does_not_silence_the_others(odd):
    """And is told itself if it overflows."""
    growing = 10 * np.exp(50 * np.arange(1, 30) / 700)
    alone = attention(np.stack((np.full(29, 12.0), growing), 1))
    beside = attention(np.stack((np.full(29, odd), growing), 1))
    assert [a for a in beside if a.evidence["layer"] == 1] == alone and alone
    told = [a.evidence["value"] for a in beside if a.evidence["layer"] == 0]
    assert told == ([100.0] * 29 if odd == np.inf else [])


def test_a_layer_that_was_no_number_for_a_while_has_not_grown_since():
    steady = 50 * np.exp(0.02 * np.random.default_rng(0).standard_normal((36, 2)))
    steady[8:24, 0] = np.nan
    assert attention(steady) == []


def test_growth_is_least_squares():
    rng = np.random.default_rng(0)
    steps, values = np.arange(0, 160, 10), rng.normal(size=(16, 3))
    slope, error = early_warning.growth(steps, values)
    for column in range(3):
        fit, covariance = np.polyfit(steps, values[:, column], 1, cov=True)
        assert slope[column] == pytest.approx(fit[0])
        assert error[column] == pytest.approx(math.sqrt(covariance[0, 0]))
