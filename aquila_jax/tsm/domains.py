"""Per-domain losses of a running mixture: smooth values, slow drift, and domains that jump.

Everything is compared at equal mixture: a step is expected to cost what its domains cost
lately, so neither the luck of the draw nor a change of weights looks like a divergence. Arrays
`[2, M]` hold nats and targets of each domain.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms, rise
from aquila_jax.tsm.rise import RiseSettings, RiseState

RARE = 0.01  # of a mixture: at four times the loss of the rest it would move the whole by 3 %


@dataclasses.dataclass(frozen=True, kw_only=True)
class DomainSettings:
    """Steps are judged in small blocks; rates and counts are per block, sizes are logarithms."""

    block: int = 4
    fast: float = 0.3  # about 10 steps
    slow: float = 0.04  # about 100 steps
    noise: float = 0.06
    known: int = 4  # blocks with a domain before it has an expectation
    judged: int = 12  # and before it is judged
    clip: float = 6.0  # standard deviations that one block can count
    drift_allowance: float = 1.0
    drift_bound: float = 8.0
    drift_floor: float = 0.003
    jump_allowance: float = 1.0
    jump_bound: float = 12.0
    jump_floor: float = 0.01
    jump_size: float = 0.05  # smaller is not worth a person's time
    fall_size: float = -0.7  # a domain whose loss halves has probably been seen before
    fall_steps: int = 1000  # before that, halving is learning
    rise: RiseSettings = RiseSettings()


class DomainState(NamedTuple):
    """Decayed sums per domain, and the drift of the whole."""

    open_2M: np.ndarray  # this block's steps that can be trusted
    open_odd_2M: np.ndarray  # and its outliers, which count for jumps but teach nothing
    fast_2M: np.ndarray
    slow_2M: np.ndarray
    noise_M: np.ndarray  # mean |log residual| times sqrt(targets)
    share_M: np.ndarray  # of the targets
    count_M: np.ndarray  # blocks with the domain
    jump_M: np.ndarray  # CUSUM
    gap_M: np.ndarray  # smoothed log excess over the slow average, beyond that of the whole
    gap: float
    noise: float
    drift: float  # CUSUM
    blocks: int
    rise: RiseState = rise.start()


class Residuals(NamedTuple):
    """How a block differs from what its mixture should have cost."""

    known_M: np.ndarray
    usual_M: np.ndarray  # nats
    log_ratio_M: np.ndarray  # 0 where unknown


def start(domains: int) -> DomainState:
    """Nothing seen of `domains` domains."""
    sums, zero, counts = np.zeros((2, domains)), np.zeros(domains), np.zeros(domains, np.int64)
    return DomainState(*(sums,) * 4, zero, zero, counts, zero, zero, 0.0, 0.0, 0.0, 0)


def grow(state: DomainState, domains: int) -> DomainState:
    """The same state with room for domains that join."""
    more = domains - len(state.count_M)
    wider = {
        name: np.pad(value, [(0, 0)] * (value.ndim - 1) + [(0, more)])
        for name, value in state._asdict().items()
        if isinstance(value, np.ndarray)
    }
    return state._replace(**wider)


def smooth(state: DomainState) -> np.ndarray:
    """Smoothed nats per target `[M]`; NaN where a domain was never seen."""
    return _ratio(state.fast_2M)


def expected(state: DomainState, weights_M: np.ndarray) -> float:
    """Nats per target that a mixture should cost; NaN if domains never seen could move it."""
    loss_M = smooth(state)
    known_M = np.isfinite(loss_M)
    if weights_M[~known_M].sum() > RARE * weights_M.sum():
        return math.nan
    return float(weights_M[known_M] @ loss_M[known_M] / weights_M[known_M].sum())


def residuals(settings: DomainSettings, state: DomainState, seen_2M: np.ndarray) -> Residuals:
    """What was seen, against the slow averages of the same domains."""
    known_M = (seen_2M.min(0) > 0) & np.isfinite(seen_2M[0]) & (state.count_M >= settings.known)
    usual_M = np.where(known_M, seen_2M[1] * _ratio(state.slow_2M), 1.0)
    return Residuals(
        known_M, usual_M, np.log(np.where(known_M, seen_2M[0], 1.0) / usual_M) * known_M
    )


def blame(residual: Residuals, names: tuple[str, ...]) -> str:
    """Which domain a spike came from, if one carries 60 % of the excess (science 2.3)."""
    excess_M = np.maximum(np.expm1(residual.log_ratio_M) * residual.usual_M, 0.0)
    total, worst = excess_M.sum(), int(excess_M.argmax())
    if total <= 0 or residual.known_M.sum() < 2 or excess_M[worst] < 0.6 * total:
        return "no single domain is to blame"
    return f"{excess_M[worst] / total:.0%} of the excess came from domain {names[worst]}"


def observe(
    settings: DomainSettings,
    state: DomainState,
    seen_2M: np.ndarray,
    *,
    step: int,
    usable: bool,
    names: tuple[str, ...],
) -> tuple[DomainState, tuple[Alarm, ...]]:
    """One step with the nats and targets of each domain; `usable` false for an outlier."""
    excess = _excess(residuals(settings, state, seen_2M))
    risen = rise.follow(settings.rise, state.rise, excess, block=settings.block)
    state = state._replace(rise=risen)
    if usable:
        state = state._replace(open_2M=state.open_2M + seen_2M)
    elif np.isfinite(seen_2M).all():
        state = state._replace(open_odd_2M=state.open_odd_2M + seen_2M)
    if step % settings.block:
        return state, ()
    seen_2M, both_2M = state.open_2M, state.open_2M + state.open_odd_2M
    nothing = np.zeros_like(seen_2M)
    state = state._replace(open_2M=nothing, open_odd_2M=nothing)
    residual = residuals(settings, state, both_2M)
    state, raised = _observe_jumps(settings, state, residual, step=step, names=names, seen=both_2M)
    state, rises = _observe_rise(settings, state, residual, step=step)
    raised += rises
    if seen_2M[1].any():
        residual = residuals(settings, state, seen_2M)
        state, drifts = _observe_drift(settings, state, residual, step=step)
        state, raised = _learn(settings, state, residual, seen_2M), raised + drifts
    return state, raised


def _observe_jumps(settings, state, residual, *, step, names, seen):
    """A domain that leaves its own past while the whole does not: a CUSUM for each domain."""
    judged_M = residual.known_M & (state.count_M >= settings.judged)
    own_M = residual.log_ratio_M - max(_whole(residual), 0.0)
    noise_M = 1.2533 * state.noise_M / np.sqrt(np.maximum(seen[1], 1.0))
    z_M = np.minimum(own_M / np.maximum(noise_M, settings.jump_floor), settings.clip)
    jump_M = np.maximum(state.jump_M + judged_M * (z_M - settings.jump_allowance), 0.0)
    gap_M = state.gap_M + settings.fast * judged_M * (own_M - state.gap_M)
    up_M = (jump_M > settings.jump_bound) & (gap_M > settings.jump_size)
    told_M = up_M | ((gap_M < settings.fall_size) & (step > settings.fall_steps))
    state = state._replace(jump_M=jump_M, gap_M=gap_M)
    if not told_M.any():
        return state, ()
    raised = ()
    for domain in np.flatnonzero(told_M).tolist():
        before, cusum = float(_ratio(state.slow_2M)[domain]), float(jump_M[domain])
        sure = alarms.confidence(max(cusum, 4.0))
        evidence = {"before": before, "after": before * math.exp(gap_M[domain]), "cusum": cusum}
        raised += (
            alarms.make("domain_jump", step, confidence=sure, domain=names[domain], **evidence),
        )
    return _anchor(state, told_M), raised


def _observe_rise(settings, state, residual, *, step):
    """Most domains that leave their past at once: no data of one domain does that."""
    if state.blocks < settings.judged:
        return state, ()
    whole, block = _whole(residual), settings.block
    deviation = max(1.2533 * state.noise, settings.drift_floor)
    risen, raised = rise.observe(
        settings.rise, state.rise, whole, gap=state.gap, deviation=deviation, step=step, block=block
    )
    state = state._replace(rise=risen)
    return (_anchor(state, residual.known_M) if raised else state), raised


def _excess(residual: Residuals) -> float:
    """Logarithm of what all cost together over what they should have; NaN if none is known."""
    usual_M = residual.usual_M * residual.known_M
    seen = float(usual_M @ np.exp(residual.log_ratio_M))
    return math.log(seen / float(usual_M.sum())) if seen else math.nan


def _whole(residual: Residuals) -> float:
    """The lower median of all domains: of two the calmer one stands for the whole."""
    known = np.sort(residual.log_ratio_M[residual.known_M])
    return float(known[(len(known) - 1) // 2]) if len(known) else 0.0


def _observe_drift(settings, state, residual, *, step):
    """A slow rise of the whole: CUSUM of the fast average against the slow one (science 1.2)."""
    value, usual = _excess(residual), float(residual.usual_M @ residual.known_M)
    if math.isnan(value):
        return state, ()
    deviation = max(1.2533 * state.noise, settings.drift_floor)
    value = min(value, settings.clip * deviation) if state.blocks else value
    gap = state.gap + settings.fast * (value - state.gap)
    rate = max(settings.noise, 1 / (state.blocks + 1))
    noise = state.noise + rate * (abs(value - gap) - state.noise)
    drift = max(0.0, state.drift + gap / deviation - settings.drift_allowance)
    drift = drift if state.blocks >= settings.judged else 0.0
    state = state._replace(gap=gap, noise=noise, drift=drift, blocks=state.blocks + 1)
    if drift <= settings.drift_bound:
        return state, ()
    rose = float(residual.usual_M @ (residual.known_M & (residual.log_ratio_M > 0))) / usual
    sure = alarms.confidence(drift)
    evidence = {"rise": math.exp(gap) - 1, "share": rose, "cusum": drift}
    alarm = alarms.make("slow_divergence", step, confidence=sure, **evidence)
    return _anchor(state, residual.known_M)._replace(gap=0.0, drift=0.0), (alarm,)


def _anchor(state, which_M):
    """The fast average becomes the reference: what has been told is not told again."""
    return state._replace(
        slow_2M=np.where(which_M[None], state.fast_2M, state.slow_2M),
        jump_M=np.where(which_M, 0.0, state.jump_M),
        gap_M=np.where(which_M, 0.0, state.gap_M),
    )


def _learn(settings, state, residual, seen_2M):
    present_M = seen_2M[1] > 0
    size_M = np.abs(residual.log_ratio_M - state.gap_M) * np.sqrt(seen_2M[1])
    age_M = np.maximum(state.count_M - settings.known + 1, 1)
    rate_M = np.maximum(settings.noise, 1 / age_M) * residual.known_M
    return state._replace(
        fast_2M=state.fast_2M * (1 - settings.fast * present_M)[None] + seen_2M,
        slow_2M=state.slow_2M * (1 - settings.slow * present_M)[None] + seen_2M,
        noise_M=state.noise_M + rate_M * (size_M - state.noise_M),
        share_M=state.share_M + settings.noise * (seen_2M[1] / seen_2M[1].sum() - state.share_M),
        count_M=state.count_M + present_M,
    )


def _ratio(sums_2M):
    nothing = np.full(sums_2M.shape[1], np.nan)
    return np.divide(sums_2M[0], sums_2M[1], out=nothing, where=sums_2M[1] > 0)
