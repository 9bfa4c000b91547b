"""Token statistics of a batch per domain, to be held against those of its store."""

import dataclasses

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms

# statistic -> (spread that is normal among batches, as a ratio; words)
STATISTICS = {
    "distinct": (2.0, "the share of distinct tokens in a sequence"),
    "top": (3.0, "the share of the commonest token in a sequence"),
    "repeats": (4.0, "the share of tokens that repeat the one before"),
}


@dataclasses.dataclass(frozen=True)
class TokenStatistics:
    """Means over sequences, per domain `[M]`; NaN for a domain that is absent."""

    distinct_M: np.ndarray
    top_M: np.ndarray
    repeats_M: np.ndarray


def measure(tokens_BL: np.ndarray, domain_ids_B: np.ndarray, domains: int) -> TokenStatistics:
    """Statistics of host sequences `[B, L]` of one domain each, as the packing makes them."""
    ordered_BL = np.sort(tokens_BL, axis=1)
    edges_BL = np.diff(ordered_BL, axis=1, prepend=-1) != 0
    length = tokens_BL.shape[1]
    distinct_B = edges_BL.sum(1) / length
    position = np.arange(length)
    run_start_BL = np.maximum.accumulate(np.where(edges_BL, position, 0), axis=1)
    top_B = ((position - run_start_BL).max(1) + 1) / length
    repeats_B = (np.diff(tokens_BL, axis=1) == 0).mean(1)
    return TokenStatistics(
        *(_mean_by_domain(x_B, domain_ids_B, domains) for x_B in (distinct_B, top_B, repeats_B))
    )


def compare(
    expected: TokenStatistics, observed: TokenStatistics, *, step: int, names: tuple[str, ...]
) -> tuple[Alarm, ...]:
    """Domains of a batch that do not look like their store."""
    raised = ()
    for name, (spread, words) in STATISTICS.items():
        expected_M, observed_M = getattr(expected, f"{name}_M"), getattr(observed, f"{name}_M")
        # Two per cent keeps a statistic that is nearly zero from being judged by its ratio.
        ratio_M = (observed_M + 0.02) / (expected_M + 0.02)
        for domain in np.flatnonzero(np.maximum(ratio_M, 1 / ratio_M) > spread).tolist():
            odds = max(ratio_M[domain], 1 / ratio_M[domain]) / spread
            evidence = {"observed": float(observed_M[domain])}
            evidence |= {"expected": float(expected_M[domain]), "what": words}
            sure = alarms.confidence(2.0 * float(odds))
            raised += (
                alarms.make(
                    "token_statistics", step, confidence=sure, domain=names[domain], **evidence
                ),
            )
    return raised


def _mean_by_domain(values_B, domain_ids_B, domains):
    counts_M = np.bincount(domain_ids_B, minlength=domains)
    sums_M = np.bincount(domain_ids_B, weights=values_B, minlength=domains)
    return np.divide(sums_M, counts_M, out=np.full(domains, np.nan), where=counts_M > 0)
