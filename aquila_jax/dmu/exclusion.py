"""What is never read: skipped stream numbers, and content as holes in a domain's order."""

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


def jump(skips: Ranges, cursors: np.ndarray) -> np.ndarray:
    """The stream number that each cursor (int64) reads, as the numbers in `skips` are not."""
    first, last = np.array(skips, np.int64).reshape(-1, 2).T
    jumped = np.concatenate([[0], np.cumsum(last - first)])
    return cursors + jumped[np.searchsorted(first - jumped[:-1], cursors, side="right")]


def land(skips: Ranges, numbers: np.ndarray) -> np.ndarray:
    """The cursor that reads each stream number (int64 [n]); -1 for one that is skipped."""
    first, last = np.array(skips, np.int64).reshape(-1, 2).T
    jumped = np.concatenate([[0], np.cumsum(last - first)])
    cursors = numbers - jumped[np.searchsorted(last, numbers, side="right")]
    return np.where(jump(skips, cursors) == numbers, cursors, -1)


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
