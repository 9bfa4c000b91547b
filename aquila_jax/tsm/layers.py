"""Layers that die, explode or jump, against the other layers and against their own past."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerSettings:
    """Ratios; a layer is compared with the median layer, so the model as a whole may drift."""

    every: int = 4  # steps between two checks
    dead: float = 1e-4  # of the median gradient
    dead_checks: int = 8  # in a row
    explode: float = 20.0  # times its own share of the past
    explode_checks: int = 3
    weight_growth: float = 3.0
    update_jump: float = 2.3  # StableAdamW's bound on RMS_t (arXiv 2304.13013)
    update_deviations: float = 6.0
    jump_checks: int = 2
    slow: float = 0.04
    minimum: int = 25  # checks before the past counts
    relearn: int = 64  # checks in a row after which a new level is the normal one


class LayerState(NamedTuple):
    """Slow averages of logarithms `[N]`, and how many checks in a row looked bad."""

    share_N: np.ndarray  # log gradient norm over that of the median layer
    update_N: np.ndarray  # log rms(update) / learning rate
    update_noise_N: np.ndarray
    weight_N: np.ndarray  # log weight rms
    dead_N: np.ndarray
    exploding_N: np.ndarray
    jumping_N: np.ndarray
    checks: int


def start(layers: int) -> LayerState:
    """Nothing seen."""
    zero, none = np.zeros(layers), np.zeros(layers, np.int64)
    return LayerState(zero, zero, zero, zero, none, none, none, 0)


def observe(
    settings: LayerSettings,
    state: LayerState,
    *,
    step: int,
    grad_norm_N: np.ndarray,
    update_rms_N: np.ndarray,
    weight_rms_N: np.ndarray,
    learning_rate: float,
) -> tuple[LayerState, tuple[Alarm, ...]]:
    """One accepted step; a step with values that are not finite is left to the detector."""
    if step % settings.every or learning_rate <= 0 or not len(grad_norm_N):
        return state, ()
    if not np.isfinite(grad_norm_N.sum() + update_rms_N.sum() + weight_rms_N.sum()):
        return state, ()
    values, flags = _judge(
        settings,
        state,
        grad_norm_N=grad_norm_N,
        update_N=update_rms_N / learning_rate,
        weight_rms_N=weight_rms_N,
    )
    before, state = state, _learn(settings, state, values, flags)
    return state, _alarms(settings, before, state, step=step, values=values)


def _judge(settings, state, *, grad_norm_N, update_N, weight_rms_N):
    """Logarithms of what is compared, and which layers are dead, exploding or jumping."""
    share_N = _log(grad_norm_N) - _log(_median_of_others(grad_norm_N))
    update_N, weight_N = _log(update_N), _log(weight_rms_N)
    dead_N = share_N < math.log(settings.dead)
    if state.checks < settings.minimum:
        nothing_N = np.zeros(len(dead_N), bool)
        return (share_N, update_N, weight_N), (dead_N, nothing_N, nothing_N)
    exploding_N = share_N - state.share_N > math.log(settings.explode)
    exploding_N |= _outgrown(state, weight_N) > math.log(settings.weight_growth)
    noise_N = settings.update_deviations * 1.2533 * state.update_noise_N
    jumping_N = update_N - state.update_N > np.maximum(noise_N, math.log(settings.update_jump))
    return (share_N, update_N, weight_N), (dead_N, exploding_N, jumping_N)


def _outgrown(state, weight_N):
    grown_N = weight_N - state.weight_N
    return grown_N - _median_of_others(grown_N)


def _alarms(settings, before, state, *, step, values):
    """Told once, when a condition has lasted as many checks as it must."""
    share_N, update_N, weight_N = values
    raised = ()
    for layer in np.flatnonzero(state.dead_N == settings.dead_checks).tolist():
        evidence = {"layer": layer, "ratio": math.exp(share_N[layer])}
        raised += (alarms.make("dead_layer", step, confidence=0.95, **evidence),)
    for layer in np.flatnonzero(state.exploding_N == settings.explode_checks).tolist():
        by_gradient = float(share_N[layer] - before.share_N[layer])
        by_weight = float(_outgrown(before, weight_N)[layer])
        what = "weight rms" if by_weight > math.log(settings.weight_growth) else "gradient norm"
        past = by_weight if what == "weight rms" else by_gradient
        evidence = {"layer": layer, "what": what, "ratio": math.exp(past)}
        raised += (alarms.make("exploding_layer", step, confidence=0.9, **evidence),)
    for layer in np.flatnonzero(state.jumping_N == settings.jump_checks).tolist():
        factor = math.exp(update_N[layer] - before.update_N[layer])
        raised += (alarms.make("update_jump", step, confidence=0.7, layer=layer, factor=factor),)
    return raised


def _log(values_N):
    return np.log(np.maximum(values_N, 1e-30))


def _learn(settings, state, values, flags):
    rate = max(settings.slow, 1 / (state.checks + 1))
    share_N, update_N, weight_N = values
    jump_N = update_N - state.update_N
    counters = (state.dead_N, state.exploding_N, state.jumping_N)
    dead_N, exploding_N, jumping_N = (
        np.where(flag_N, count_N + 1, 0) for flag_N, count_N in zip(flags, counters, strict=True)
    )
    # The past does not learn from what it flags, until that has become the normal.
    calm_N = ~(flags[0] | flags[1] | flags[2])
    lasting_N = np.maximum(dead_N, np.maximum(exploding_N, jumping_N)) > settings.relearn
    rate_N = np.where(lasting_N, 1.0, rate * calm_N)

    return LayerState(
        state.share_N + rate_N * (share_N - state.share_N),
        state.update_N + rate_N * jump_N,
        state.update_noise_N + rate * calm_N * (np.abs(jump_N) - state.update_noise_N),
        state.weight_N + rate_N * (weight_N - state.weight_N),
        dead_N,
        exploding_N,
        jumping_N,
        state.checks + 1,
    )


def _median_of_others(values_N):
    """For two layers the other one; beyond that one odd layer does not move the median."""
    ordered_N, count = np.sort(values_N), len(values_N)
    middle = (ordered_N[(count - 1) // 2] + ordered_N[count // 2]) / 2
    return values_N[::-1] if count == 2 else np.full_like(values_N, middle)
