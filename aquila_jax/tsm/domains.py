"""Per-domain losses of a running mixture: smooth values, slow drift, and domains that jump.

Everything is compared at equal mixture: a step is expected to cost what its domains cost
lately, so neither the luck of the draw nor a change of weights looks like a divergence.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms


@dataclasses.dataclass(frozen=True, kw_only=True)
class DomainSettings:
    """Rates per observation; CUSUM allowances and bounds in standard deviations."""

    fast: float = 0.1
    slow: float = 0.01
    noise: float = 0.02
    known: int = 8  # observations of a domain before it has an expectation
    minimum: int = 32  # and before it is judged
    clip: float = 6.0
    drift_allowance: float = 0.5
    drift_bound: float = 8.0
    jump_allowance: float = 1.0
    jump_bound: float = 16.0
    drift_floor: float = 0.005
    jump_floor: float = 0.02
    jump_size: float = 0.05  # log; smaller is not worth a person's time
    fall_size: float = -0.7  # log; a domain that halves has probably been seen before
    fall_steps: int = 1000  # before that, halving is learning


class DomainState(NamedTuple):
    """Decayed sums per domain `[M]`, and the drift of the whole."""

    nats_fast_M: np.ndarray
    tokens_fast_M: np.ndarray
    nats_slow_M: np.ndarray
    tokens_slow_M: np.ndarray
    noise_M: np.ndarray  # mean |log residual| times sqrt(tokens)
    share_M: np.ndarray  # of the tokens, smoothed over steps
    count_M: np.ndarray
    jump_M: np.ndarray  # CUSUM
    gap_M: np.ndarray  # smoothed log excess over the slow average, less that of the whole
    gap: float
    noise: float
    drift: float  # CUSUM
    steps: int


class Residuals(NamedTuple):
    """How this step differs from what its mixture should have cost."""

    usable_M: np.ndarray  # domains present and known well enough
    log_ratio_M: np.ndarray
    excess_nats_M: np.ndarray


def start(domains: int) -> DomainState:
    """Nothing seen of `domains` domains."""
    zero = np.zeros(domains)
    return DomainState(*(zero,) * 6, np.zeros(domains, np.int64), zero, zero, 0.0, 0.0, 0.0, 0)


def grow(state: DomainState, domains: int) -> DomainState:
    """The same state with room for domains that join."""
    more = domains - len(state.count_M)
    if more <= 0:
        return state
    arrays = {
        name: np.pad(value, (0, more))
        for name, value in state._asdict().items()
        if name.endswith("_M")
    }
    return state._replace(**arrays)


def smooth(state: DomainState) -> np.ndarray:
    """Smoothed nats per token `[M]`, token-weighted; NaN where a domain was never seen."""
    return _ratio(state.nats_fast_M, state.tokens_fast_M)


def expected(state: DomainState, weights_M: np.ndarray) -> float:
    """Nats per token that a mixture should cost; NaN if it needs a domain never seen."""
    loss_M = smooth(state)
    used_M = weights_M > 0
    return float(weights_M[used_M] @ loss_M[used_M] / weights_M[used_M].sum())


def residuals(
    settings: DomainSettings, state: DomainState, nats_M: np.ndarray, tokens_M: np.ndarray
) -> Residuals:
    """This step against the slow average of its own domains."""
    finite_M = np.isfinite(nats_M) & (nats_M > 0)
    usable_M = finite_M & (tokens_M > 0) & (state.count_M >= settings.known)
    slow_M = np.where(usable_M, _ratio(state.nats_slow_M, state.tokens_slow_M), 1.0)
    usual_M = np.where(usable_M, tokens_M * slow_M, 1.0)
    nats_M = np.where(usable_M, nats_M, 1.0)
    log_ratio_M = np.where(usable_M, np.log(nats_M / usual_M), 0.0)
    return Residuals(usable_M, log_ratio_M, np.where(usable_M, nats_M - usual_M, 0.0))


def blame(residual: Residuals, names: tuple[str, ...]) -> str:
    """Which domain a spike came from, if one carries 60 % of the excess (science 2.3)."""
    excess_M = np.maximum(residual.excess_nats_M, 0.0)
    total = excess_M.sum()
    worst = int(excess_M.argmax()) if len(excess_M) else 0
    if total <= 0 or residual.usable_M.sum() < 2 or excess_M[worst] < 0.6 * total:
        return "no single domain is to blame"
    return f"{excess_M[worst] / total:.0%} of the excess came from domain {names[worst]}"


def observe(
    settings: DomainSettings,
    state: DomainState,
    residual: Residuals,
    *,
    step: int,
    nats_M: np.ndarray,
    tokens_M: np.ndarray,
    usable: bool,
    names: tuple[str, ...],
) -> tuple[DomainState, tuple[Alarm, ...]]:
    """One step; outliers (`usable` false) count for jumps but teach nothing."""
    present_M = (tokens_M > 0) & np.isfinite(nats_M)
    state, jumps = _observe_jumps(
        settings, state, residual, step=step, tokens_M=tokens_M, names=names
    )
    drifts = ()
    if usable:
        state, drifts = _observe_drift(settings, state, residual, step=step, tokens_M=tokens_M)
        state = _learn(
            settings, state, residual, present_M=present_M, nats_M=nats_M, tokens_M=tokens_M
        )
    return state, jumps + drifts


def _observe_jumps(settings, state, residual, *, step, tokens_M, names):
    """A domain that leaves its own past while the whole does not: a CUSUM for each domain."""
    judged_M = residual.usable_M & (state.count_M >= settings.minimum)
    own_M = residual.log_ratio_M - max(state.gap, 0.0)
    noise_M = 1.2533 * state.noise_M / np.sqrt(np.maximum(tokens_M, 1.0))
    z_M = own_M / np.maximum(noise_M, settings.jump_floor)
    step_M = np.minimum(z_M, settings.clip) - settings.jump_allowance
    jump_M = np.where(judged_M, np.maximum(state.jump_M + step_M, 0.0), state.jump_M)
    gap_M = np.where(judged_M, state.gap_M + settings.fast * (own_M - state.gap_M), state.gap_M)
    up_M = (jump_M > settings.jump_bound) & (gap_M > settings.jump_size)
    down_M = judged_M & (gap_M < settings.fall_size) & (step > settings.fall_steps)
    state = state._replace(jump_M=jump_M, gap_M=gap_M)
    raised = ()
    for domain in np.flatnonzero(up_M | down_M).tolist():
        before = float(state.nats_slow_M[domain] / state.tokens_slow_M[domain])
        z = float(abs(gap_M[domain]) * jump_M[domain] / settings.jump_size)
        evidence = {"before": before, "after": before * math.exp(gap_M[domain])}
        raised += (
            alarms.make(
                "domain_jump",
                step,
                confidence=alarms.confidence(z),
                domain=names[domain],
                cusum=float(jump_M[domain]),
                **evidence,
            ),
        )
    return (_anchor(state, up_M | down_M) if raised else state), raised


def _observe_drift(settings, state, residual, *, step, tokens_M):
    """A slow rise of the whole: CUSUM of the fast average against the slow one (science 1.2)."""
    usable_M = residual.usable_M
    usual = float((tokens_M * usable_M).sum())
    if not usual:
        return state, ()
    excess = float(residual.excess_nats_M.sum())
    expected_nats = float((tokens_M * _slow(state))[usable_M].sum())
    value = math.log(1 + excess / expected_nats)
    deviation = max(1.2533 * state.noise, settings.drift_floor)
    value = min(value, settings.clip * deviation) if state.steps else value
    gap = state.gap + settings.fast * (value - state.gap)
    noise = state.noise + max(settings.noise, 1 / (state.steps + 1)) * (
        abs(value - gap) - state.noise
    )
    drift = max(0.0, state.drift + gap / deviation - settings.drift_allowance)
    drift = drift if state.steps >= settings.minimum else 0.0
    state = state._replace(gap=gap, noise=noise, drift=drift, steps=state.steps + 1)
    if drift <= settings.drift_bound:
        return state, ()
    rose_M = usable_M & (residual.log_ratio_M > 0)
    alarm = alarms.make(
        "slow_divergence",
        step,
        confidence=alarms.confidence(gap / (deviation * math.sqrt(settings.fast / 2))),
        rise=math.exp(gap) - 1,
        share=float(tokens_M[rose_M].sum()) / usual,
        cusum=drift,
    )
    state = _anchor(state, usable_M)._replace(gap=0.0, drift=0.0)
    return state, (alarm,)


def _anchor(state, which_M):
    """The fast average becomes the reference: what has been told is not told again."""
    return state._replace(
        nats_slow_M=np.where(which_M, state.nats_fast_M, state.nats_slow_M),
        tokens_slow_M=np.where(which_M, state.tokens_fast_M, state.tokens_slow_M),
        jump_M=np.where(which_M, 0.0, state.jump_M),
        gap_M=np.where(which_M, 0.0, state.gap_M),
    )


def _slow(state):
    return _ratio(state.nats_slow_M, state.tokens_slow_M)


def _ratio(nats_M, tokens_M):
    return np.divide(nats_M, tokens_M, out=np.full(len(nats_M), np.nan), where=tokens_M > 0)


def _learn(settings, state, residual, *, present_M, nats_M, tokens_M):
    keep_fast_M = np.where(present_M, 1 - settings.fast, 1.0)
    keep_slow_M = np.where(present_M, 1 - settings.slow, 1.0)
    nats_M = np.where(present_M, nats_M, 0.0)
    total = max(float(tokens_M.sum()), 1.0)
    size_M = np.abs(residual.log_ratio_M - state.gap_M) * np.sqrt(tokens_M)
    age_M = np.maximum(state.count_M - settings.known + 1, 1)
    rate_M = np.where(residual.usable_M, np.maximum(settings.noise, 1 / age_M), 0.0)
    return state._replace(
        nats_fast_M=state.nats_fast_M * keep_fast_M + nats_M,
        tokens_fast_M=state.tokens_fast_M * keep_fast_M + tokens_M,
        nats_slow_M=state.nats_slow_M * keep_slow_M + nats_M,
        tokens_slow_M=state.tokens_slow_M * keep_slow_M + tokens_M,
        noise_M=state.noise_M + rate_M * (size_M - state.noise_M),
        share_M=state.share_M + settings.noise * (tokens_M / total - state.share_M),
        count_M=state.count_M + present_M,
    )
