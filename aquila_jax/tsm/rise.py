"""A loss that jumps in most domains at once and stays there: damaged weights, or bad data all over."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms


@dataclasses.dataclass(frozen=True, kw_only=True)
class RiseSettings:
    """What is above the past of the domains, as logarithms, and for how long."""

    size: float = 0.1
    noise: float = 6.0  # standard deviations of a block
    blocks: int = 3  # in a row; a bad batch is over sooner


class RiseState(NamedTuple):
    """Base and bar are of before a rise, which itself moves gap and noise."""

    blocks: int  # risen, in a row
    base: float  # a loss that falls fast is below its slow average
    bar: float  # what is above it has risen
    excess_K: np.ndarray  # of each late step


def start() -> RiseState:
    """Nothing seen."""
    return RiseState(0, 0.0, 0.0, np.zeros(0))


def follow(settings: RiseSettings, state: RiseState, excess: float, *, block: int) -> RiseState:
    """One step, of blocks of `block`: how far it lies above what its mixture costs usually."""
    kept_K = state.excess_K[-settings.blocks * block :]
    return state._replace(excess_K=np.append(kept_K, excess))


def observe(
    settings: RiseSettings,
    state: RiseState,
    whole: float,
    *,
    gap: float,
    deviation: float,
    step: int,
    block: int,
) -> tuple[RiseState, tuple[Alarm, ...]]:
    """One block that ends with `step`: `whole` is how far most domains are above their past.

    `gap` is what that was lately, and `deviation` its noise.
    """
    if not state.blocks:
        base = min(gap, 0.0)
        bar = base + max(settings.size, settings.noise * deviation)
        state = state._replace(base=base, bar=bar)
    state = state._replace(blocks=state.blocks + 1 if whole > state.bar else 0)
    if state.blocks < settings.blocks:
        return state, ()
    rise = whole - state.base
    evidence = {"rise": math.exp(rise) - 1, "first": step - settings.blocks * block + 1}
    steps_K = np.nan_to_num(np.diff(state.excess_K))
    if steps_K.max(initial=0.0) > rise / 2:  # at one step, which may be done once more
        evidence["suspect"] = step - len(steps_K) + 1 + int(steps_K.argmax())
    sure = alarms.confidence(settings.noise)  # at least
    alarm = alarms.make("loss_jump", step, confidence=sure, **evidence)
    return state._replace(blocks=0), (alarm,)
