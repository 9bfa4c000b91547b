"""Spikes of loss and gradient norm, by medians that never learn from the spikes they flag.

Three defects of the usual rule (mean + 6 sigma, see `peers.py`) are avoided: a spike does not
widen the window, a NaN does not close it, and a steep descent does not blind it.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms, series
from aquila_jax.tsm.series import Series, SeriesSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """Thresholds in robust deviations (science 1.2)."""

    window: int = 128
    warn: float = 4.0
    act: float = 6.0
    early_act: float = 8.0  # for the loss, whose noise changes fast at first
    early_steps: int = 1000
    skips: int = 5  # in one window; more would hide a divergence, so the limits open
    strays: int = 1  # of them, that a trouble which began later may have found there
    apart: int = 16  # steps between a stray and the trouble
    warnings: int = 3  # within `warning_steps`
    warning_steps: int = 32
    loss: SeriesSettings = SeriesSettings(floor=0.01)
    # Its level and noise change fast in a warm-up; there healthy steps were skipped for it.
    grad_norm: SeriesSettings = SeriesSettings(floor=0.05, minimum=64)


class Reading(NamedTuple):
    """What one finished step showed."""

    step: int
    loss: float
    grad_norm: float
    skipped: bool


class Verdict(NamedTuple):
    """What a detector makes of a step, and what following steps must not exceed."""

    usable: bool  # finite, not skipped, no outlier: others may learn from it
    spike: bool
    loss_limit: float
    grad_norm_limit: float
    alarms: tuple[Alarm, ...]


class DetectorState(NamedTuple):
    """Two series, and the steps at which something was flagged in the last window."""

    loss: Series
    grad_norm: Series
    spikes: np.ndarray
    skipped_spikes: np.ndarray
    warnings: np.ndarray
    non_finite: np.ndarray


def start() -> DetectorState:
    """A detector that has seen nothing."""
    no_step = np.zeros(0, np.int64)
    return DetectorState(series.start(), series.start(), no_step, no_step, no_step, no_step)


def observe(
    settings: DetectorSettings, state: DetectorState, reading: Reading
) -> tuple[DetectorState, Verdict]:
    """One step: is it an outlier, and what are the limits for the steps that follow it."""
    if not (math.isfinite(reading.loss) and math.isfinite(reading.grad_norm)):
        return _observe_non_finite(settings, state, reading)
    step = reading.step
    log_loss = math.log(max(reading.loss, 1e-30))
    log_norm = math.log(max(reading.grad_norm, 1e-30))
    z_loss = series.deviation(settings.loss, state.loss, log_loss)
    z_norm = series.deviation(settings.grad_norm, state.grad_norm, log_norm)
    loss_act = _loss_act(settings, step)
    odd_loss, odd_norm = abs(z_loss) > loss_act, abs(z_norm) > settings.act
    spike = z_loss > loss_act or z_norm > settings.act
    calm = not (spike or reading.skipped)
    loss, raised = _update(
        settings, state, "loss", step=step, value=log_loss, odd=odd_loss, calm=calm
    )
    norm, more = _update(
        settings, state, "grad_norm", step=step, value=log_norm, odd=odd_norm, calm=calm
    )
    warned = calm and max(z_loss, z_norm) > settings.warn
    state = DetectorState(
        loss,
        norm,
        spikes=_recent(settings, state.spikes, step, flagged=spike),
        skipped_spikes=_recent(settings, state.skipped_spikes, step, flagged=reading.skipped),
        warnings=_recent(settings, state.warnings, step, flagged=warned),
        non_finite=_recent(settings, state.non_finite, step, flagged=False),
    )
    raised = raised + more + _alarms(settings, state, reading, z=(z_loss, z_norm))
    usable = not (odd_loss or odd_norm or reading.skipped)
    return state, Verdict(usable, spike, *limits(settings, state, step), raised)


def limits(settings: DetectorSettings, state: DetectorState, step: int) -> tuple[float, float]:
    """Loss (nats) and gradient norm that the steps after `step` must not exceed.

    They open for one window once the skips are used up: what is refused again and again is a
    new normal or a divergence, and skipping cures neither.
    """
    if len(state.skipped_spikes) >= settings.skips:
        return math.inf, math.inf
    return (
        series.limit(settings.loss, state.loss, _loss_act(settings, step)),
        series.limit(settings.grad_norm, state.grad_norm, settings.act),
    )


def shift(state: DetectorState, log_ratio: float) -> DetectorState:
    """Moves the expected loss, when a known change of mixture moves it by exp(log_ratio)."""
    moved = state.loss._replace(trend=state.loss.trend + log_ratio)
    return state._replace(loss=moved)


def forget_loss(state: DetectorState) -> DetectorState:
    """Learns the loss anew, when a change of mixture moves it and nobody knows how far."""
    return state._replace(loss=series.start())


def smooth_loss(state: DetectorState, latest: float) -> float:
    """The loss without its noise, nats; `latest` while nothing has been learned."""
    return math.exp(state.loss.trend) if len(state.loss.values) else latest


def _loss_act(settings, step):
    return settings.early_act if step <= settings.early_steps else settings.act


def _recent(settings, steps, step, *, flagged):
    if len(steps) and steps[0] <= step - settings.window:
        steps = steps[steps > step - settings.window]
    return np.append(steps, step) if flagged else steps


def _observe_non_finite(settings, state, reading):
    non_finite = _recent(settings, state.non_finite, reading.step, flagged=True)
    state = state._replace(non_finite=non_finite)
    raised = (
        alarms.make(
            "non_finite",
            reading.step,
            confidence=1.0,
            loss=str(reading.loss),
            grad_norm=str(reading.grad_norm),
        ),
    )
    if len(non_finite) >= settings.skips:
        raised += (_repeated("non_finite_burst", settings, non_finite),)
    return state, Verdict(False, False, *limits(settings, state, reading.step), raised)


def _repeated(kind, settings, steps):
    count, first = len(steps), int(steps[_strays(settings, steps)])
    return alarms.make(
        kind,
        int(steps[-1]),
        confidence=alarms.confidence(count),
        count=count,
        window=settings.window,
        first=first,
    )


def _strays(settings, steps):
    """How many of the first flags lie far before the others and had an end of their own."""
    most = max(len(steps) - settings.skips, 0) + settings.strays
    apart = np.flatnonzero(np.diff(steps)[:most] > settings.apart)
    return int(apart[-1]) + 1 if len(apart) else 0


def _update(settings, state, name, *, step, value, odd, calm):
    """The series after this value, and an alarm if it has found a new normal."""
    rule, old = getattr(settings, name), getattr(state, name)
    if not odd:
        return (series.learn(rule, old, value) if calm else old), ()
    new, relearned = series.set_aside(rule, old, step, value=value)
    if not relearned:
        return new, ()
    levels = {"before": math.exp(old.trend + old.centre), "after": math.exp(new.trend)}
    return new, (alarms.make("regime_change", step, confidence=0.9, what=name, **levels),)


def _alarms(settings, state, reading, *, z):
    z_loss, z_norm = z
    z = max(z_loss, z_norm)
    what = "loss" if z_loss >= z_norm else "grad_norm"
    measured = {"loss": reading.loss, "grad_norm": reading.grad_norm}
    raised = ()
    if len(state.spikes) and state.spikes[-1] == reading.step:
        evidence = dict(z=z, what=what, z_loss=z_loss, z_grad_norm=z_norm, **measured)
        evidence |= {"skipped": reading.skipped, "blame": "no domain stands out"}
        raised += (alarms.make("spike", reading.step, confidence=alarms.confidence(z), **evidence),)
        if len(state.spikes) >= settings.skips:
            raised += (_repeated("repeated_spikes", settings, state.spikes),)
    if -z_loss > settings.early_act and reading.step > settings.early_steps:
        sure = alarms.confidence(-z_loss)
        raised += (alarms.make("easy_batch", reading.step, confidence=sure, z=-z_loss, **measured),)
    lately = state.warnings[state.warnings > reading.step - settings.warning_steps]
    if len(lately) >= settings.warnings:
        evidence = {"count": len(lately), "window": settings.warning_steps, "what": what}
        sure = alarms.confidence(settings.warn)
        raised += (alarms.make("unsteady", reading.step, confidence=sure, **evidence),)
    return raised
