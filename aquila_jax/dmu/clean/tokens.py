"""Text as hashed tokens: one per word, one per Han character, case and punctuation ignored."""

import functools
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

SEPARATOR, WORD, SINGLE = 0, 1, 2
HAN_TOKENS = 0.4  # of all tokens; a text above is taken by characters, as is the custom for Chinese
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses nothing
MIX = np.uint64(0xBF58476D1CE4E5B9)
HALF = np.uint64(32)


@functools.cache
def _kinds() -> np.ndarray:
    """[0x30000] kind of each code point: scripts without spaces are one token a character."""
    kinds = np.zeros(0x30000, np.uint8)
    for code in range(0x10000):
        character = chr(code)
        if character.isalnum() or unicodedata.category(character) in ("Mn", "Mc"):
            kinds[code] = WORD
        elif unicodedata.category(character) == "Sm":
            kinds[code] = SINGLE  # 3 + 2 is not 3 - 2
    kinds[0x3040:0x3100] = SINGLE  # kana
    for first, last in ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x30000)):
        kinds[first:last] = SINGLE
    return kinds


@functools.cache
def _powers(length: int) -> np.ndarray:
    return np.cumprod(np.full(length, BASE, np.uint64))


def _scramble(hashes: np.ndarray) -> np.ndarray:
    hashes = (hashes ^ (hashes >> HALF)) * MIX
    return hashes ^ (hashes >> HALF)


def normalise(text: str) -> str:
    """NFKC and lower case: full-width and half-width, large and small, are the same."""
    return unicodedata.normalize("NFKC", text).lower()


def _characters(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Code points of `normalise(text)`, and the kind of each."""
    codes = np.frombuffer(normalise(text).encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes, _kinds()[np.minimum(codes, 0x2FFFF)]


def tokenise(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes uint64 [N], starts [N] in `normalise(text)`, and whether single characters [N]."""
    codes, kinds = _characters(text)
    previous = np.concatenate([[SEPARATOR], kinds[:-1]])
    first = (kinds == SINGLE) | ((kinds == WORD) & (previous != WORD))
    starts = np.flatnonzero(first)
    if not len(starts):
        return np.zeros(0, np.uint64), starts, np.zeros(0, bool)
    inside = np.flatnonzero(kinds)
    token = np.cumsum(first)[inside] - 1
    position = np.minimum(inside - starts[token], 63)
    parts = _scramble(codes[inside].astype(np.uint64) + np.uint64(1)) * _powers(64)[position]
    bounds = np.searchsorted(token, np.arange(len(starts)))
    hashes = _scramble(np.add.reduceat(parts, bounds))
    return hashes, starts, kinds[starts] == SINGLE


def ngrams(hashes: np.ndarray, length: int) -> np.ndarray:
    """uint64 [max(0, N - length + 1)]: one hash for each run of `length` tokens."""
    return next(all_ngrams(hashes, (length,)))[1]


def all_ngrams(hashes: np.ndarray, lengths: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(length, its n-grams) for rising lengths; each is made of those one token shorter."""
    total = np.zeros(len(hashes) + 1, np.uint64)
    for length in range(1, max(lengths, default=0) + 1):
        count = max(0, len(hashes) - length + 1)
        total = total[:count] * BASE + hashes[length - 1 : length - 1 + count]
        if length in lengths:
            yield length, _scramble(total)


def shingles(text: str, length: int) -> np.ndarray:
    """Sorted distinct hashes of runs of `length` words, or characters where Han are many.

    A text shorter than one run is one shingle.
    """
    hashes, _, single = tokenise(text)
    if single.sum() > HAN_TOKENS * len(single):
        codes, kinds = _characters(text)
        hashes = _scramble(codes[kinds != SEPARATOR].astype(np.uint64) + np.uint64(1))
    return np.unique(ngrams(hashes, min(length, max(1, len(hashes)))))


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Size of the intersection over the union of two sorted distinct arrays."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    union = len(left) + len(right) - common
    return common / union if union else 1.0
