"""Content never to be served again: ranges of a domain's sequences, as holes in its order."""

import functools

import numpy as np

from aquila_jax.dmu import permutation

Ranges = tuple[tuple[int, int], ...]  # [first, last), sorted, apart from each other


def merge(ranges) -> Ranges:
    """Ranges [first, last) in any order, overlapping or not, in their shortest form."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((int(first), int(last)) for first, last in ranges):
        if first >= last or first < 0:
            raise ValueError(
                f"range [{first}, {last}) must hold something and start at 0 or later."
            )
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def total(ranges: Ranges) -> int:
    """How many numbers lie in `ranges`."""
    return sum(last - first for first, last in ranges)


@functools.lru_cache(maxsize=256)
def holes(ranges: Ranges, *, size: int, key: int, epoch: int) -> np.ndarray:
    """The sorted positions at which one epoch's order would serve the content in `ranges`."""
    content = [np.arange(0), *(np.arange(first, last) for first, last in ranges)]
    content = np.concatenate(content)
    return np.sort(permutation.invert(content, size=size, key=key, epoch=epoch))


def place_to_position(place: np.ndarray, holes_: np.ndarray) -> np.ndarray:
    """The position of the `place`-th sequence that is not in a hole."""
    free_before = holes_ - np.arange(len(holes_))
    return place + np.searchsorted(free_before, place, side="right")


def position_to_place(position: np.ndarray, holes_: np.ndarray) -> np.ndarray:
    """How many positions before `position` are not in a hole."""
    return position - np.searchsorted(holes_, position)
