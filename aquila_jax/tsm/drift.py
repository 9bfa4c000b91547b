"""Updates that grow against the learning rate that was asked for, by a run's own past."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms


@dataclasses.dataclass(frozen=True, kw_only=True)
class DriftSettings:
    """Steps, and how many times its usual value is too much."""

    window: int = 64  # of the past that tells what is usual
    gap: int = 32  # between them and now, or what creeps up would become usual
    smoothing: float = 0.2
    factor: float = 1.25  # 30 healthy runs reached 1.09 (docs/results/monitor.md)
    deviations: float = 4.0  # of single steps in that window, where these are noisy


class DriftState(NamedTuple):
    """`log(update ratio / learning rate)` of the last steps, and now, of one batch size."""

    now: float
    past_K: np.ndarray
    batch: int


def start() -> DriftState:
    """Nothing seen."""
    return DriftState(0.0, np.zeros(0), 0)


def observe(
    settings: DriftSettings,
    state: DriftState,
    *,
    step: int,
    ratio: float,
    learning_rate: float,
    batch: int,
) -> tuple[DriftState, tuple[Alarm, ...]]:
    """`ratio` of update to weight against `learning_rate`, the one that was asked for.

    Why: an update of Adam is the rate times a number near 1, whatever the gradient, and weights
    change slowly, so the quotient hardly moves in a healthy run. What makes it move (second
    moments that vanish or are damaged, weights that shrink, a rate that is not the planned one)
    moves it at once, and the loss many steps later. A new batch size is a new quotient.
    """
    if not (math.isfinite(ratio) and ratio > 0 and learning_rate > 0):
        return state, ()
    if batch != state.batch:
        state = start()._replace(batch=batch)
    value = math.log(ratio / learning_rate)
    now = value
    if len(state.past_K):
        now = state.now + settings.smoothing * (value - state.now)
    keep = settings.window + settings.gap
    past_K = np.append(state.past_K, value)[-keep:]
    state = DriftState(now, past_K, batch)
    if len(past_K) < keep:
        return state, ()
    usual, noise = _centre(past_K[: settings.window])
    if now - usual <= max(math.log(settings.factor), settings.deviations * noise):
        return state, ()
    alarm = alarms.make(
        "update_drift",
        step,
        confidence=alarms.confidence((now - usual) / max(noise, 1e-9)),
        factor=math.exp(now - usual),
        ratio=ratio,
        learning_rate=learning_rate,
        since=step - settings.gap,
    )
    return state, (alarm,)


def _centre(values_K: np.ndarray) -> tuple[float, float]:
    """Median, and standard deviation by the median absolute deviation of a Gaussian."""
    middle = float(np.median(values_K))
    return middle, 1.4826 * float(np.median(np.abs(values_K - middle)))
