"""Gradient noise scale from the micro-batches of ordinary steps, at no cost.

A trend to look at, and no target for the batch size: under Adam it misses the critical batch
by factors in either direction (arXiv 2505.23971; our pilot, 5-10 times too high).
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

BLOCKS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseSettings:
    """The averages reach back about 1 / `rate` steps, the interval over 20 blocks of steps."""

    rate: float = 0.01
    block: int = 10


class NoiseState(NamedTuple):
    """Averages of numerator and denominator, and their sums over the last blocks."""

    trace: float
    square: float
    blocks: np.ndarray  # [<= BLOCKS, 2]
    open_block: np.ndarray  # [2]
    open_steps: int


class NoiseScale(NamedTuple):
    """Sequences; the interval is of 90 %, and infinite where the gradient drowns in noise."""

    value: float
    low: float
    high: float


def start() -> NoiseState:
    """Nothing measured yet."""
    return NoiseState(0.0, 0.0, np.zeros((0, 2)), np.zeros(2), 0)


def pair(micro_grad_square: float, grad_square: float, *, batch: int, micro_batches: int):
    """Unbiased tr(Sigma) and |G|^2 from one step (McCandlish et al., arXiv 1812.06162, A.1).

    With b sequences a micro-batch and B a step, E|g_b|^2 = |G|^2 + tr(Sigma) / b, and likewise
    for B; two equations, two unknowns.
    """
    small = batch / micro_batches
    trace = (micro_grad_square - grad_square) / (1 / small - 1 / batch)
    square = (batch * grad_square - small * micro_grad_square) / (batch - small)
    return trace, square


def observe(
    settings: NoiseSettings,
    state: NoiseState,
    *,
    micro_grad_square: float,
    grad_norm: float,
    batch: int,
    micro_batches: int,
) -> NoiseState:
    """One accepted step; one without accumulation says nothing about noise."""
    if micro_batches < 2:
        return state
    sample = pair(micro_grad_square, grad_norm**2, batch=batch, micro_batches=micro_batches)
    if not all(map(math.isfinite, sample)):
        return state
    keep = 1 - settings.rate
    open_block, open_steps = state.open_block + sample, state.open_steps + 1
    blocks = state.blocks
    if open_steps == settings.block:
        blocks = np.concatenate((blocks[-(BLOCKS - 1) :], open_block[None] / open_steps))
        open_block, open_steps = np.zeros(2), 0
    return NoiseState(
        keep * state.trace + settings.rate * sample[0],
        keep * state.square + settings.rate * sample[1],
        blocks,
        open_block,
        open_steps,
    )


def value(state: NoiseState) -> float | None:
    """tr(Sigma) / |G|^2 in sequences, each averaged first: a mean of ratios diverges.

    Both averages start at zero and so share one bias, which the ratio cancels. `None` until
    half of the blocks are full, or while |G|^2 is not measurably above zero.
    """
    if len(state.blocks) < BLOCKS // 2 or state.square <= 0:
        return None
    return state.trace / state.square


def scale(state: NoiseState) -> NoiseScale | None:
    """`value` with its interval."""
    middle = value(state)
    return None if middle is None else NoiseScale(middle, *_interval(state.blocks))


def measured(gradients: np.ndarray, batch: int) -> float:
    """The direct way: `[R, P]` gradients of R batches of `batch` sequences at fixed weights."""
    count = len(gradients)
    mean = gradients.mean(axis=0)
    variance = float(((gradients - mean) ** 2).sum() / (count - 1))
    return variance * batch / (float(mean @ mean) - variance / count)


def _interval(blocks):
    """Delete-one-block jackknife in the logarithm, where the ratio is closer to normal."""
    total = blocks.sum(axis=0)
    left_out = total - blocks
    if total.min() <= 0 or left_out.min() <= 0:
        return 0.0, math.inf
    logs = np.log(left_out[:, 0] / left_out[:, 1])
    count = len(blocks)
    error = math.sqrt((count - 1) / count * float(((logs - logs.mean()) ** 2).sum()))
    centre = math.log(total[0] / total[1])
    return math.exp(centre - 1.645 * error), math.exp(centre + 1.645 * error)
