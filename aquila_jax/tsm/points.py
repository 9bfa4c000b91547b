"""A loss curve kept as few points, whatever its length: what the forecast reads and replays.

Losses are taken in blocks, a block's median is a point, and when the points are `LIMIT` each two
become one and blocks twice as long. So a spike of a step or two leaves no trace, the state stays
small enough for any checkpoint, and the same losses give the same points after a resume.
"""

import dataclasses
import math
import statistics
from typing import NamedTuple

import numpy as np

LIMIT = 256
BLOCK = 8  # steps of the first blocks of a training loss; evaluations come one by one


@dataclasses.dataclass(frozen=True)
class Points:
    """The curve so far. Begin with `Points(block=BLOCK)` for training, `Points()` for evaluations."""

    steps: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()
    block: int = 1
    pending_steps: tuple[int, ...] = ()
    pending_losses: tuple[float, ...] = ()


class Observed(NamedTuple):
    """Points ready for a fit: [n] each."""

    steps: np.ndarray
    loss: np.ndarray  # nats


def add(points: Points, step: int, loss: float) -> Points:
    """The curve with one more loss. Steps that were skipped or flagged are not to be added."""
    if not math.isfinite(loss):
        return points
    steps, losses = (*points.pending_steps, step), (*points.pending_losses, loss)
    if len(steps) < points.block:
        return dataclasses.replace(points, pending_steps=steps, pending_losses=losses)
    full = Points(
        (*points.steps, statistics.fmean(steps)),
        (*points.losses, statistics.median(losses)),
        points.block,
    )
    return full if len(full.steps) < LIMIT else _halve(full)


def cut(points: Points, step: int) -> Points:
    """The curve up to `step`, as after a rewind to it; a block that straddles it goes whole."""
    kept = sum(s + (points.block - 1) / 2 <= step for s in points.steps)
    return Points(points.steps[:kept], points.losses[:kept], points.block)


def observed(points: Points) -> Observed:
    """The finished blocks as arrays."""
    return Observed(np.array(points.steps), np.array(points.losses))


def thin(seen: Observed, limit: int) -> Observed:
    """At most `limit` of the points, evenly spaced in the logarithm of the step."""
    if len(seen.steps) <= limit:
        return seen
    wanted = np.geomspace(seen.steps[0], seen.steps[-1], limit)
    index = np.unique(np.searchsorted(seen.steps, wanted).clip(max=len(seen.steps) - 1))
    return Observed(seen.steps[index], seen.loss[index])


def _halve(points: Points) -> Points:
    steps = np.reshape(points.steps, (-1, 2)).mean(axis=1)
    losses = np.reshape(points.losses, (-1, 2)).mean(axis=1)
    return Points(tuple(steps.tolist()), tuple(losses.tolist()), 2 * points.block)
