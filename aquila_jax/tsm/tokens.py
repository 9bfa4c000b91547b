"""Do the tokens of a batch look like their store? Sequences that do not, told before the loss is.

Each sequence is described by four numbers, each standardised by what is usual in its domain; they
are averaged over a domain's sequences, so that one odd document says nothing and a bad shard much.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms

# Statistic -> least deviation of it among sequences that is believed.
STATISTICS = {
    "the surprise of its tokens": 0.05,  # nats a token under the store's frequencies
    "the share of distinct tokens": 0.02,
    "the share of the commonest token": 0.01,
    "the share of tokens that repeat the one before": 0.01,
}
LEAST = 8  # sequences, below which nothing is known to be usual
CLIP = 5.0  # deviations that one sequence may count
RATE = 1 / 8  # of the average over sequences
FIELDS = 1 + len(STATISTICS)  # the number of sequences, then the sums over them in hundredths


def spread(count: float) -> float:
    """Standard deviation of the average of a domain that has `count` sequences in each step."""
    left = (1 - RATE) ** count
    return math.sqrt((1 - left) / (count * (1 + left)))


# Seven deviations at one sequence a step. It holds for more, whose average strays less, since what is
# usual is itself known only roughly.
BOUND = 7.0 * spread(1)


class Usual(NamedTuple):
    """What sequences of the store look like."""

    surprise_V: np.ndarray  # -ln of each token's share
    mean_MS: np.ndarray
    scale_MS: np.ndarray


class TokenState(NamedTuple):
    """Averages of the standardised statistics, `[M, S]`."""

    odd_MS: np.ndarray


def usual(samples: Sequence[np.ndarray], vocab: int, *, first: int | None = None) -> Usual:
    """From sequences `[n, L]` of each domain: every other one for the frequencies, the rest for the norm.

    The frequencies are those of the first domains, by default of all. The scale is widened to the 97th percentile's, since texts have heavy tails.
    """
    counts_V = np.ones(vocab)  # so that no token is impossible
    for rows in samples[:first]:
        counts_V += np.bincount(rows[::2].ravel(), minlength=vocab)
    surprise_V = -np.log(counts_V / counts_V.sum())
    means, scales = [], []
    for rows in samples:
        seen_BS = statistics(rows[1::2], surprise_V)
        known = len(seen_BS) >= LEAST
        mean_S = seen_BS.mean(0) if known else np.full(len(STATISTICS), np.nan)
        away_BS = np.abs(seen_BS - mean_S)
        wide_S = np.quantile(away_BS, 0.97, axis=0) / 2.17 if known else mean_S
        spread_S = np.maximum(np.sqrt((away_BS**2).sum(0) / max(len(away_BS), 1)), wide_S)
        means.append(mean_S)
        scales.append(np.maximum(spread_S, list(STATISTICS.values())))
    return Usual(surprise_V, np.array(means), np.array(scales))


def statistics(tokens_BL: np.ndarray, surprise_V: np.ndarray) -> np.ndarray:
    """`[B, S]` of host sequences, in the order of `STATISTICS`."""
    length = tokens_BL.shape[1]
    edges_BL = np.diff(np.sort(tokens_BL, axis=1), axis=1, prepend=-1) != 0
    position = np.arange(length)
    run_start_BL = np.maximum.accumulate(np.where(edges_BL, position, 0), axis=1)
    top_B = ((position - run_start_BL).max(axis=1, initial=0) + 1) / length
    repeats_B = (np.diff(tokens_BL, axis=1) == 0).mean(1)
    return np.stack((surprise_V[tokens_BL].mean(1), edges_BL.mean(1), top_B, repeats_B), axis=1)


def oddity(usual: Usual, tokens_BL: np.ndarray, domain_B: np.ndarray) -> np.ndarray:
    """`[B, FIELDS]` for sequences of one domain each; zeros where nothing is known to be usual."""
    away_BS = statistics(tokens_BL, usual.surprise_V) - usual.mean_MS[domain_B]
    away_BS = np.clip(away_BS / usual.scale_MS[domain_B], -CLIP, CLIP)
    known_B1 = np.isfinite(away_BS).all(axis=1, keepdims=True)
    hundredths_BS = np.rint(100 * np.where(known_B1, away_BS, 0.0))
    return np.concatenate((known_B1, hundredths_BS), axis=1).astype(np.float32)


def start(domains: int) -> TokenState:
    """No sequence seen."""
    return TokenState(np.zeros((domains, len(STATISTICS))))


def grow(state: TokenState, domains: int) -> TokenState:
    """The same state with room for domains that join."""
    more = domains - len(state.odd_MS)
    return TokenState(np.pad(state.odd_MS, ((0, more), (0, 0))))


def observe(
    state: TokenState, sums_MC: np.ndarray | None, *, step: int, names: tuple[str, ...]
) -> tuple[TokenState, tuple[Alarm, ...]]:
    """One step, with the sums of `oddity` over its sequences, `[M, FIELDS]`; None: not measured."""
    if sums_MC is None:
        return state, ()
    count_M1 = sums_MC[:, :1]
    mean_MS = sums_MC[:, 1:] / (100 * np.maximum(count_M1, 1))
    odd_MS = mean_MS + (1 - RATE) ** count_M1 * (state.odd_MS - mean_MS)
    raised = ()
    for domain in np.flatnonzero((np.abs(odd_MS) > BOUND).any(1) & (count_M1[:, 0] > 0)).tolist():
        what = int(np.abs(odd_MS[domain]).argmax())
        deviations = float(odd_MS[domain, what]) / spread(float(count_M1[domain, 0]))
        raised += (
            alarms.make(
                "token_statistics",
                step,
                confidence=alarms.confidence(abs(deviations)),
                domain=names[domain],
                what=list(STATISTICS)[what],
                deviations=deviations,
                away=float(mean_MS[domain, what]),
            ),
        )
    return TokenState(odd_MS), raised
