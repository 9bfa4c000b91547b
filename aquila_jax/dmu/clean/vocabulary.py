"""Which words other documents use too: typing errors are words that nobody else makes."""

import functools
import re

import numpy as np
import xxhash

SLOTS = 1 << 22
PER_SOURCE = 2_000_000  # characters of each source that are counted: memory stays flat
ENOUGH = 500_000  # characters; a smaller sample says nothing about what is new
WORD = re.compile(r"[a-z]{3,}")


@functools.lru_cache(1 << 16)
def _slot(word: str) -> int:
    return xxhash.xxh64_intdigest(word) & (SLOTS - 1)


def slots(text: str) -> np.ndarray:
    """int64 [words of three or more letters]."""
    return np.fromiter(map(_slot, WORD.findall(text.lower())), np.int64)


def count(documents: np.ndarray, text: str) -> None:
    """Adds one document's words to uint8 [2^22] numbers of documents, which stop at 255."""
    used = np.unique(slots(text))
    documents[used] += documents[used] < 255


def novelty(documents: np.ndarray, text: str, *, own: int) -> tuple[float, int]:
    """Share of a text's words that no other document has, and how many words there are.

    `own` is 1 where the text itself was counted, else 0.
    """
    used = slots(text)
    return (float((documents[used] <= own).mean()) if len(used) else 0.0), len(used)
