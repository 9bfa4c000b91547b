"""Which domain the n-th sequence of the stream has, and how many came before it: arithmetic.

The n-th sequence takes the point u(n) = reverse(n) XOR key of [0, 2**48), where `reverse`
mirrors the 48 bits of n (the base-2 radical inverse of van der Corput, with a digital shift),
and has the domain whose interval of the cumulative weights holds u(n). In each aligned block
of 2**m sequences the points are equally spaced, so that a domain of share w has w * 2**m
sequences there, to within one; no weight is rounded to nothing for ever, and no table is kept.
"""

import numpy as np

BITS = 48  # stream numbers are below 2**48; shares have a resolution of 2**-48
_MIRRORED_BYTES = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)


def reverse(n: np.ndarray) -> np.ndarray:
    """The 48 bits of `n` (int64, any shape) mirrored."""
    little = np.array(n, "<u8", ndmin=1)
    mirrored = _MIRRORED_BYTES[little.view(np.uint8)].reshape(-1, 8)[:, ::-1].copy()
    return (mirrored.view("<u8") >> np.uint64(64 - BITS)).astype(np.int64).reshape(np.shape(n))


def bounds(weights: np.ndarray) -> np.ndarray:
    """Cumulative `weights` [K] as integers [K + 1] from 0 to 2**48; scale does not matter."""
    cumulative = np.cumsum(weights)  # sequential, so the same bits on every machine
    inner = np.rint(cumulative / cumulative[-1] * 2.0**BITS).astype(np.int64)
    return np.concatenate([np.zeros(1, np.int64), inner])


def choose(numbers: np.ndarray, limits: np.ndarray, key: int) -> np.ndarray:
    """The domain of each stream number (int64 [n]) under `limits` (of `bounds`)."""
    return np.searchsorted(limits[1:], reverse(numbers) ^ key, side="right")


def count_below(number: np.ndarray, limit: np.ndarray, key: int) -> np.ndarray:
    """How many of the stream numbers below `number` have u < `limit`; both int64, broadcast.

    [0, number) is a disjoint union of one aligned block of 2**i numbers for each bit i of
    `number`; in a block the points are an arithmetic progression, whose members below
    `limit` are counted in closed form.
    """
    number, limit = np.asarray(number), np.asarray(limit)
    used = int(np.bitwise_or.reduce(number, axis=None))
    bits = [bit for bit in range(used.bit_length()) if used >> bit & 1]
    bit = np.array(bits, np.int64).reshape(-1, *[1] * max(number.ndim, limit.ndim))
    step = BITS - bit  # the points of block i are 2**(48 - i) apart
    low = (1 << step) - 1
    # the first point: the bits of `number` above bit i, mirrored, are below bit 47 - i
    first = (reverse(number) & (low >> 1)) ^ (key & low)
    members = (limit >> step) + (first < (limit & low))
    return np.sum(members * (number >> bit & 1), axis=0)


def count(number: np.ndarray, limits: np.ndarray, key: int) -> np.ndarray:
    """Sequences of each domain, [K], among the stream numbers below the scalar `number`."""
    return np.diff(count_below(np.int64(number), limits, key))


def rank(numbers: np.ndarray, domain: np.ndarray, limits: np.ndarray, key: int) -> np.ndarray:
    """How many stream numbers below each of `numbers` [n] have its `domain` [n]."""
    edges = np.stack([limits[domain], limits[domain + 1]])
    return np.diff(count_below(numbers[None], edges, key), axis=0)[0]


def find(rank_: np.ndarray, domain: int, limits: np.ndarray, key: int) -> np.ndarray:
    """The stream number of a domain's sequence with each rank (int64 [n]): `rank` inverted."""
    domains = np.full(len(rank_), domain)
    number = np.zeros(len(rank_), np.int64)
    for bit in reversed(range(BITS)):
        further = number | np.int64(1) << np.int64(bit)
        number = np.where(rank(further, domains, limits, key) <= rank_, further, number)
    return number
