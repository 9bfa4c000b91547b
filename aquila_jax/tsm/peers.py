"""The skip rule of other trainers, with its defects, as a baseline for `detect.py`.

OLMo-core's `SkipStepOptimizer` (also MaxText and Levanter): a step is skipped when the loss or
the gradient norm deviates more than 6 standard deviations from the mean of the previous 128.
Kept as it is there: skipped spikes enter the window and widen it, one NaN in the window skips
every step until it has left, and the deviation counts downwards too.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.tsm import alarms
from aquila_jax.tsm.detect import Reading, Verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """OLMo-core's defaults."""

    window: int = 128
    sigmas: float = 6.0


class PeerState(NamedTuple):
    """The last `window` losses and gradient norms, whatever they were."""

    losses: np.ndarray
    grad_norms: np.ndarray


def start() -> PeerState:
    """A rule that has seen nothing."""
    return PeerState(np.zeros(0), np.zeros(0))


def observe(
    settings: PeerSettings, state: PeerState, reading: Reading
) -> tuple[PeerState, Verdict]:
    """One step, judged by the steps before it; the interface of `detect.observe`."""
    # OLMo-core counts the step itself: max(20, window // 2) values with it, one less without.
    active = len(state.losses) + 1 >= max(20, settings.window // 2)
    z_loss = _deviation(state.losses, reading.loss)
    z_norm = _deviation(state.grad_norms, reading.grad_norm)
    calm = z_loss <= settings.sigmas and z_norm <= settings.sigmas  # False for a NaN, as there
    spike = active and not calm
    state = PeerState(
        np.append(state.losses[-(settings.window - 1) :], reading.loss),
        np.append(state.grad_norms[-(settings.window - 1) :], reading.grad_norm),
    )
    raised = ()
    if spike:
        z = z_loss if not z_loss <= settings.sigmas else z_norm
        evidence = {"z": z, "what": "loss or grad_norm", "blame": "this rule does not look"}
        raised = (alarms.make("spike", reading.step, confidence=0.5, **evidence),)
    return state, Verdict(not spike, spike, *limits(settings, state), raised)


def limits(settings: PeerSettings, state: PeerState) -> tuple[float, float]:
    """Mean plus 6 sigma of both; -inf, nothing may pass, where a NaN is in the window."""
    if len(state.losses) + 1 < max(20, settings.window // 2):
        return math.inf, math.inf
    return _limit(settings, state.losses), _limit(settings, state.grad_norms)


def _limit(settings, values):
    with np.errstate(invalid="ignore"):
        limit = float(values.mean() + settings.sigmas * values.std(ddof=1))
    return -math.inf if math.isnan(limit) else limit


def _deviation(values, value):
    if len(values) < 2:
        return 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.abs(value - values.mean()) / values.std(ddof=1))
