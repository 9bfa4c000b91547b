"""Layers that die, explode or jump, against the other layers and against their own past."""

import dataclasses
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerSettings:
    """Ratios; a layer is compared with the median layer, so the model as a whole may drift."""

    dead: float = 1e-4  # of the median gradient
    dead_checks: int = 8  # in a row
    explode: float = 20.0  # times its own share of the past
    explode_checks: int = 3
    weight_growth: float = 3.0
    update_jump: float = 2.3  # StableAdamW's bound on RMS_t (arXiv 2304.13013)
    update_deviations: float = 6.0
    slow: float = 0.01
    minimum: int = 100  # steps before the past counts
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
    steps: int


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
    sums = grad_norm_N.sum() + update_rms_N.sum() + weight_rms_N.sum()
    if not np.isfinite(sums) or learning_rate <= 0 or not len(grad_norm_N):
        return state, ()
    tiny = 1e-30
    others_N = _median_of_others(grad_norm_N)
    share_N = np.log(np.maximum(grad_norm_N, tiny) / np.maximum(others_N, tiny))
    update_N = np.log(np.maximum(update_rms_N, tiny) / learning_rate)
    weight_N = np.log(np.maximum(weight_rms_N, tiny))
    old = state.steps >= settings.minimum
    jump_N = update_N - state.update_N
    grown_N = weight_N - state.weight_N
    grown_N = grown_N - np.median(grown_N)
    dead_N = share_N < np.log(settings.dead)
    exploding_N = (share_N - state.share_N > np.log(settings.explode)) & old
    exploding_N |= (grown_N > np.log(settings.weight_growth)) & old
    noise_N = np.maximum(settings.update_deviations * 1.2533 * state.update_noise_N, 0.0)
    jumping_N = (jump_N > np.maximum(noise_N, np.log(settings.update_jump))) & old
    state = _learn(settings, state, (share_N, update_N, weight_N), (dead_N, exploding_N, jumping_N))
    raised = ()
    for layer in np.flatnonzero(state.dead_N == settings.dead_checks).tolist():
        ratio = float(np.exp(share_N[layer]))
        raised += (alarms.make("dead_layer", step, confidence=0.95, layer=layer, ratio=ratio),)
    for layer in np.flatnonzero(state.exploding_N == settings.explode_checks).tolist():
        by_weight = grown_N[layer] > np.log(settings.weight_growth)
        past = grown_N[layer] if by_weight else share_N[layer] - state.share_N[layer]
        what = "weight rms" if by_weight else "gradient norm"
        evidence = {"layer": layer, "what": what, "ratio": float(np.exp(past))}
        raised += (alarms.make("exploding_layer", step, confidence=0.9, **evidence),)
    for layer in np.flatnonzero(state.jumping_N == 2).tolist():
        factor = float(np.exp(jump_N[layer]))
        raised += (alarms.make("update_jump", step, confidence=0.7, layer=layer, factor=factor),)
    return state, raised


def _learn(settings, state, values, flags):
    rate = max(settings.slow, 1 / (state.steps + 1))
    share_N, update_N, weight_N = values
    counters = (state.dead_N, state.exploding_N, state.jumping_N)
    dead_N, exploding_N, jumping_N = (
        np.where(flag_N, count_N + 1, 0) for flag_N, count_N in zip(flags, counters, strict=True)
    )
    # The past does not learn from what it flags, until that has become the normal.
    lasting_N = np.maximum(dead_N, np.maximum(exploding_N, jumping_N)) > settings.relearn
    calm_N = ~(flags[0] | flags[1] | flags[2]) | lasting_N

    def toward(old_N, new_N):
        return np.where(calm_N, old_N + rate * (new_N - old_N), old_N)

    return LayerState(
        toward(state.share_N, share_N),
        toward(state.update_N, update_N),
        toward(state.update_noise_N, np.abs(update_N - state.update_N)),
        toward(state.weight_N, weight_N),
        dead_N,
        exploding_N,
        jumping_N,
        state.steps + 1,
    )


def _median_of_others(values_N):
    """For two layers the other one; beyond that one odd layer does not move the median."""
    return values_N[::-1] if len(values_N) == 2 else np.full_like(values_N, np.median(values_N))
