"""The whole run in a bounded number of blocks: what each domain cost, step by step, summed.

When the table is full, neighbours merge and blocks become twice as long; nothing is sampled
and nothing is lost but resolution, and the memory does not grow with the run.
"""

from typing import NamedTuple

import numpy as np

BLOCKS = 256


class History(NamedTuple):
    """`K` closed blocks in order, and the open one; M domains."""

    step_K: np.ndarray  # last step of the block
    tokens_K: np.ndarray  # cumulative targets at its end
    learning_rate_K: np.ndarray  # mean over its steps
    batch_K: np.ndarray  # sequences a step, mean
    nats_KM: np.ndarray
    counts_KM: np.ndarray  # targets
    open_M: np.ndarray  # [2, M] nats and counts
    open_sums: np.ndarray  # [2] learning rate and batch
    open_steps: int
    block: int  # steps a block


def start(domains: int, block: int = 4) -> History:
    """No blocks yet."""
    none, table = np.zeros(0), np.zeros((0, domains))
    sums = np.zeros((2, domains)), np.zeros(2)
    return History(np.zeros(0, np.int64), none, none, none, table, table, *sums, 0, block)


def grow(history: History, domains: int) -> History:
    """The same history with room for domains that join."""
    more = ((0, 0), (0, domains - history.open_M.shape[1]))
    return history._replace(
        nats_KM=np.pad(history.nats_KM, more),
        counts_KM=np.pad(history.counts_KM, more),
        open_M=np.pad(history.open_M, more),
    )


def add(
    history: History,
    *,
    step: int,
    tokens: float,
    learning_rate: float,
    batch: float,
    sums_M: np.ndarray,
) -> History:
    """One step, with `sums_M` `[2, M]` its nats and targets (zeros for one not to be trusted)."""
    open_M = history.open_M + sums_M
    open_sums = history.open_sums + (learning_rate, batch)
    open_steps = history.open_steps + 1
    if open_steps < history.block:
        return history._replace(open_M=open_M, open_sums=open_sums, open_steps=open_steps)
    means = open_sums / open_steps
    history = History(
        np.append(history.step_K, step),
        np.append(history.tokens_K, tokens),
        np.append(history.learning_rate_K, means[0]),
        np.append(history.batch_K, means[1]),
        np.concatenate((history.nats_KM, open_M[:1])),
        np.concatenate((history.counts_KM, open_M[1:])),
        np.zeros_like(open_M),
        np.zeros(2),
        0,
        history.block,
    )
    return _merge_pairs(history) if len(history.step_K) == BLOCKS else history


def losses(history: History) -> np.ndarray:
    """Nats per token `[K, M]`; NaN where a domain was absent."""
    counts_KM = history.counts_KM
    nothing = np.full(counts_KM.shape, np.nan)
    return np.divide(history.nats_KM, counts_KM, out=nothing, where=counts_KM > 0)


def _merge_pairs(history):
    return history._replace(
        step_K=history.step_K[1::2],
        tokens_K=history.tokens_K[1::2],
        learning_rate_K=(history.learning_rate_K[::2] + history.learning_rate_K[1::2]) / 2,
        batch_K=(history.batch_K[::2] + history.batch_K[1::2]) / 2,
        nats_KM=history.nats_KM[::2] + history.nats_KM[1::2],
        counts_KM=history.counts_KM[::2] + history.counts_KM[1::2],
        block=2 * history.block,
    )
