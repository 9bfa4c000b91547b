"""Steps that take far too long. Clock times differ between hosts: to be shown, not replayed."""

from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms


class PaceState(NamedTuple):
    """The last durations, in seconds."""

    seconds: np.ndarray


def start() -> PaceState:
    """No step timed yet."""
    return PaceState(np.zeros(0))


def observe(
    state: PaceState, step: int, seconds: float, *, factor: float = 5.0, least: float = 1.0
) -> tuple[PaceState, Alarm | None]:
    """One step's duration against the median of the last 64, from the 8th on."""
    times = state.seconds
    state = PaceState(np.append(times[-63:], seconds))
    if len(times) < 8:
        return state, None
    typical = float(np.median(times))
    if seconds < max(factor * typical, typical + least):
        return state, None
    evidence = {"seconds": seconds, "typical": typical}
    sure = alarms.confidence(seconds / typical)
    return state, alarms.make("slow_host", step, confidence=sure, **evidence)
