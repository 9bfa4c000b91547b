"""The mixture a run starts with, before anything is known of it."""

import math
from collections.abc import Mapping


def natural(sizes: Mapping[str, int], sequences: int) -> dict[str, float]:
    """Each domain by its size."""
    return {name: float(size) for name, size in sizes.items()}


def uniform(sizes: Mapping[str, int], sequences: int) -> dict[str, float]:
    """Each domain alike."""
    return {name: float(size > 0) for name, size in sizes.items()}


def unimax(sizes: Mapping[str, int], sequences: int, epochs: float = 4.0) -> dict[str, float]:
    """As even as can be with no domain read more than `epochs` times in `sequences`.

    UniMax, arXiv 2304.09151, algorithm 1. Four epochs are about as good as fresh text
    (arXiv 2305.16264). Where all domains together are too small, each gets its `epochs`.
    """
    shares, left = {}, float(sequences)
    for rank, name in enumerate(order := sorted(sizes, key=lambda name: (sizes[name], name))):
        shares[name] = min(left / (len(order) - rank), epochs * sizes[name])
        left -= shares[name]
    return {name: shares[name] for name in sizes}


PRIORS = {"natural": natural, "uniform": uniform, "unimax": unimax}


def mixture(
    name: str, weights: Mapping[str, float], sizes: Mapping[str, int], sequences: int
) -> dict[str, float]:
    """Shares that sum to 1: `weights` if there are any (a domain left out gets 0), else a prior."""
    if not weights and name not in PRIORS:
        raise ValueError(f"data.mixture={name!r} must be one of {sorted(PRIORS)}.")
    unknown = set(weights) - set(sizes)
    if unknown:
        raise ValueError(
            f"data.weights names {sorted(unknown)}, but the store has {sorted(sizes)}."
        )
    if not weights and not sum(sizes.values()):
        raise ValueError(
            f"none of the domains {sorted(sizes)} holds one sequence of data.length tokens; lower "
            "it, or prepare more text."
        )
    chosen = PRIORS[name](sizes, sequences) if not weights else weights
    total = sum(chosen.values())
    if not (0 < total < math.inf and min(chosen.values()) >= 0):
        raise ValueError(
            f"data.weights={dict(chosen)} must be finite, none below 0, with a positive sum."
        )
    return {domain: chosen.get(domain, 0.0) / total for domain in sizes}
