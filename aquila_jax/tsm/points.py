"""A loss curve as the points that a forecast is fitted to."""

from typing import NamedTuple

import numpy as np

from aquila_jax.tsm.history import History


class Observed(NamedTuple):
    """Points ready for a fit: [n] each."""

    steps: np.ndarray
    loss: np.ndarray  # nats


def whole(history: History) -> Observed:
    """The mean loss of each block of steps, all domains together."""
    return _mean(history, history.nats_KM.sum(axis=1), history.counts_KM.sum(axis=1))


def domain(history: History, number: int) -> Observed:
    """The same of one domain, without the blocks in which it was absent."""
    return _mean(history, history.nats_KM[:, number], history.counts_KM[:, number])


def thin(seen: Observed, limit: int) -> Observed:
    """At most `limit` points, each the mean of those in one stretch, even in the logarithm of the step.

    So that what came last, where a law may be off for a while, does not outvote all else.
    """
    if len(seen.steps) <= limit:
        return seen
    edges = np.geomspace(seen.steps[0], seen.steps[-1], limit + 1)[1:-1]
    stretch = np.searchsorted(edges, seen.steps)
    first = np.flatnonzero(np.diff(stretch, prepend=-1))
    count = np.diff(np.append(first, len(stretch)))
    return Observed(*(np.add.reduceat(values, first) / count for values in seen))


def _mean(history: History, nats_K: np.ndarray, counts_K: np.ndarray) -> Observed:
    """Nats per target where there are any, each at the middle of its block."""
    known = counts_K > 0
    middle_K = history.step_K - (history.block - 1) / 2
    return Observed(middle_K[known], nats_K[known] / counts_K[known])
