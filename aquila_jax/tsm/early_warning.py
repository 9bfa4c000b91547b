"""Signs that come before the loss moves: growing logits, and updates too large for the weights."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms


@dataclasses.dataclass(frozen=True, kw_only=True)
class WarningSettings:
    """Limits from science 1.2; the reference is a curve of update ratios over progress 0 to 1."""

    reference: tuple[float, ...] = ()
    ratio_factor: float = 2.5
    ratio_without_reference: float = 0.05
    ratio_rate: float = 0.2
    ratio_first_step: int = 3  # a curve's first part is the middle of several steps of a warm-up
    ratio_first_progress: float = 0.02  # without a reference the start is not judged
    log_z_factor: float = 4.0
    log_z_floor: float = 10.0  # nats squared; growth below it does no harm
    log_z_every: int = 16
    log_z_samples: int = 32  # with `log_z_every`: about 500 steps
    attention_floor: float = 0.001  # below it a logarithm says nothing
    attention_warn: float = 25.0
    attention_limit: float = 100.0
    attention_horizon: int = 1000  # steps


class WarningState(NamedTuple):
    """A smoothed update ratio and what it should be, and the lately seen logits."""

    ratio: float
    usual: float  # smoothed alike, or a rate that falls fast would seem too high
    ratio_steps: int
    log_z: float
    log_z_K: np.ndarray
    log_z_step_K: np.ndarray
    attention_KN: np.ndarray
    attention_step_K: np.ndarray


def start(layers: int) -> WarningState:
    """Nothing seen of a model of `layers` layers."""
    none, no_step = np.zeros(0), np.zeros(0, np.int64)
    return WarningState(0.0, 0.0, 0, 0.0, none, no_step, np.zeros((0, layers)), no_step)


def reference_curve(progress: np.ndarray, ratios: np.ndarray) -> tuple[float, ...]:
    """Update ratios of a good run as medians over equal parts of its progress.

    As many parts as have five steps each, at most 200: the very first step is smaller than any, and
    must not be what a longer run is held against.
    """
    points = min(max(len(ratios) // 5, 1), 200)
    part = np.minimum((np.asarray(progress) * points).astype(int), points - 1)
    seen = np.unique(part)
    medians = [float(np.median(np.asarray(ratios)[part == p])) for p in seen]
    return tuple(np.interp(np.arange(points), seen, medians).tolist())


def observe_ratio(
    settings: WarningSettings,
    state: WarningState,
    *,
    step: int,
    ratio: float,
    progress: float,
) -> tuple[WarningState, tuple[Alarm, ...]]:
    """The update ratio against `ratio_factor` times its reference (science 2.1)."""
    if not math.isfinite(ratio) or step < settings.ratio_first_step:
        return state, ()
    rate = max(settings.ratio_rate, 1 / (state.ratio_steps + 1))
    smooth = state.ratio + rate * (ratio - state.ratio)
    usual = state.usual + rate * ((expected_ratio(settings, progress) or 0.0) - state.usual)
    state = state._replace(ratio=smooth, usual=usual, ratio_steps=state.ratio_steps + 1)
    limit = usual * settings.ratio_factor if usual else settings.ratio_without_reference
    young = not usual and progress < settings.ratio_first_progress
    if young or smooth <= limit:
        return state, ()
    scale = min(max(limit / smooth, 0.5), 1.0)
    alarm = alarms.make(
        "update_ratio",
        step,
        confidence=alarms.confidence(6.0 if usual else 2.0),
        ratio=smooth,
        factor=smooth / (limit / settings.ratio_factor),
        scale=scale,
        reference=usual or None,
    )
    return state, (alarm,)


def expected_ratio(settings: WarningSettings, progress: float) -> float | None:
    """The reference at this progress, `None` without a reference.

    It stands in the middle of its parts. Before the first of them it is held: a proxy of fewer steps
    says nothing of the first ones, and a rate must not seem too high for that.
    """
    if not settings.reference:
        return None
    place = progress * len(settings.reference) - 0.5
    return float(np.interp(place, range(len(settings.reference)), settings.reference))


def observe_log_z(
    settings: WarningSettings, state: WarningState, *, step: int, log_z_squared: float
) -> tuple[WarningState, tuple[Alarm, ...]]:
    """Mean log Z squared that grows `log_z_factor` times in the window."""
    if not math.isfinite(log_z_squared):
        return state, ()
    young = not len(state.log_z_K)
    smooth = log_z_squared if young else state.log_z + 0.1 * (log_z_squared - state.log_z)
    state = state._replace(log_z=smooth)
    if step % settings.log_z_every and not young:
        return state, ()
    keep = slice(-(settings.log_z_samples - 1), None)
    values_K = np.append(state.log_z_K[keep], smooth)
    steps_K = np.append(state.log_z_step_K[keep], step)
    state = state._replace(log_z_K=values_K, log_z_step_K=steps_K)
    factor = smooth / max(float(values_K.min()), 1e-6)
    if factor < settings.log_z_factor or smooth < settings.log_z_floor:
        return state, ()
    evidence = {"factor": factor, "steps": int(step - steps_K[values_K.argmin()])}
    sure = alarms.confidence(factor)
    alarm = alarms.make("output_logit_growth", step, confidence=sure, value=smooth, **evidence)
    return state, (alarm,)


def observe_attention(
    settings: WarningSettings, state: WarningState, *, step: int, logit_max_N: np.ndarray
) -> tuple[WarningState, tuple[Alarm, ...]]:
    """The step at which each layer's largest logit crosses the limit, by an exponential fit.

    A layer that overflows is at the limit. One that is not a number repeats what it showed last:
    it may have got that from a layer below, of which it says nothing itself.
    """
    unknown_N = np.isnan(logit_max_N)
    if unknown_N.all():
        return state, ()
    if len(state.attention_KN):
        logit_max_N = np.where(unknown_N, np.exp(state.attention_KN[-1]), logit_max_N)
    logit_max_N = np.fmax(logit_max_N, settings.attention_floor)
    logit_max_N = np.where(np.isinf(logit_max_N), settings.attention_limit, logit_max_N)
    values_KN = np.concatenate((state.attention_KN[-15:], np.log(logit_max_N)[None]))
    steps_K = np.append(state.attention_step_K[-15:], step)
    state = state._replace(attention_KN=values_KN, attention_step_K=steps_K)
    slope_N, error_N = growth(steps_K, values_KN)
    sure_N = slope_N > 4 * error_N
    # Logits that rise and then level off are healthy: the slower of all and of late counts.
    slope_N = np.minimum(slope_N, growth(steps_K[-8:], values_KN[-8:])[0])
    sure_N &= slope_N > 0
    ahead_N = np.full(len(slope_N), np.inf)
    left_N = math.log(settings.attention_limit) - values_KN[-1]
    np.divide(left_N, slope_N, out=ahead_N, where=sure_N)
    soon_N = (ahead_N < settings.attention_horizon) & (logit_max_N > settings.attention_warn)
    raised = ()
    for layer in np.flatnonzero(soon_N & (logit_max_N < settings.attention_limit)).tolist():
        raised += (
            _attention_alarm(settings, step, layer, value=logit_max_N[layer], ahead=ahead_N[layer]),
        )
    for layer in np.flatnonzero(logit_max_N >= settings.attention_limit).tolist():
        raised += (_attention_alarm(settings, step, layer, value=logit_max_N[layer], ahead=0.0),)
    return state, raised


def growth(steps_K: np.ndarray, log_KN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope per step of each column's logarithm by least squares, and its standard error."""
    if len(steps_K) < 4:
        return np.zeros(log_KN.shape[1]), np.full(log_KN.shape[1], np.inf)
    x_K = steps_K - steps_K.mean()
    spread = float((x_K**2).sum())
    slope_N = x_K @ log_KN / spread
    residual_KN = log_KN - log_KN.mean(0) - x_K[:, None] * slope_N
    return slope_N, np.sqrt((residual_KN**2).sum(0) / (len(x_K) - 2) / spread)


def _attention_alarm(settings, step, layer, *, value, ahead):
    return alarms.make(
        "attention_growth",
        step,
        confidence=alarms.confidence(10.0 if ahead == 0 else 4.0),
        layer=layer,
        value=float(value),
        limit=settings.attention_limit,
        crossing=int(step + ahead),
    )
