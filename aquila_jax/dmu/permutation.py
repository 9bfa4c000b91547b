"""Keyed permutations of 0 .. size-1 that need no memory: the order inside a domain.

A generalised Feistel network over [0, a) x [0, b) with a * b >= size, and cycle walking back
into the range (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002,
methods "generalized Feistel" and "cycle walking"). With a = ceil(sqrt(size)) fewer than
a of the a * b values lie outside, so that walking is rare.
"""

import hashlib

import numpy as np

ROUNDS = 6
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def name_key(seed: int, *names: str) -> int:
    """A 64-bit key of a seed and names: of the name, so that a new name moves no other."""
    text = "\0".join((str(seed), *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def scramble(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): uint64 to well-mixed uint64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def permute(position: np.ndarray, *, size, key, epoch) -> np.ndarray:
    """What stands at `position` (int64 [n], below `size`) in the order of (`key`, `epoch`).

    `size`, `key` (uint64) and `epoch` are scalars or arrays [n].
    """
    return _walk(position, _encrypt, size=size, key=key, epoch=epoch)


def invert(value: np.ndarray, *, size, key, epoch) -> np.ndarray:
    """The position at which `value` stands: the inverse of `permute`."""
    return _walk(value, _decrypt, size=size, key=key, epoch=epoch)


def _walk(x, once, *, size, key, epoch):
    """Applies `once` until the result is inside the range again, as the start was."""
    x, size, key, epoch = np.broadcast_arrays(
        np.atleast_1d(np.asarray(x, np.int64)),
        np.asarray(size, np.int64),
        np.asarray(key, np.uint64),
        np.asarray(epoch, np.int64),
    )
    left = np.ceil(np.sqrt(size)).astype(np.int64)
    right = -(-size // left)
    keys = scramble(key + (epoch.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
    out = once(x, keys, left.astype(np.uint64), right.astype(np.uint64))
    while (outside := np.flatnonzero(out >= size)).size:
        left_out, right_out = left[outside].astype(np.uint64), right[outside].astype(np.uint64)
        out[outside] = once(out[outside], keys[outside], left_out, right_out)
    return out


def _round(keys, half, number):
    """The round function: 32 bits hashed of key, round and half, by multiply and shift."""
    x = (half ^ (keys + np.uint64(number << 40))) * _GOLDEN
    x = (x ^ (x >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return x >> np.uint64(32)


def _encrypt(x, keys, left_size, right_size):
    left, right = np.divmod(x.astype(np.uint64), right_size)
    for number in range(0, ROUNDS, 2):
        left = (left + _round(keys, right, number)) % left_size
        right = (right + _round(keys, left, number + 1)) % right_size
    return (left * right_size + right).astype(np.int64)


def _decrypt(x, keys, left_size, right_size):
    left, right = np.divmod(x.astype(np.uint64), right_size)
    for number in range(ROUNDS - 2, -1, -2):
        right = (right + right_size - _round(keys, left, number + 1) % right_size) % right_size
        left = (left + left_size - _round(keys, right, number) % left_size) % left_size
    return (left * right_size + right).astype(np.int64)
