"""How often letters and Han characters follow each other, from text that every Python carries.

English: the language reference in the standard library (`pydoc_data.topics`, 465 thousand
characters). Chinese: the word frequencies of jieba's dictionary (349 thousand words). Neither
depends on the corpus at hand, so garbage in it cannot make itself look normal.
"""

import functools
import importlib.util
import pathlib
import re
from pydoc_data import topics
from typing import NamedTuple

import numpy as np
import opencc

LETTERS = 27  # 0: anything but a to z
HAN, HAN_END = 0x3400, 0xA000
ENTRY = re.compile(r"^([\u3400-\u9fff]+) (\d+)", re.M)
PAIR_SLOTS = 1 << 20
PAIR_WEIGHT = 2e-6  # strength of the independent guess, as a share of all characters
WORD = 3  # letters
RARE = 1e-7  # share given to a character that the dictionary lacks
BACKOFF = 5.0  # Dirichlet smoothing towards the shorter context, in counts


def code_points(text: str) -> np.ndarray:
    """int64 [characters]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)


def letters(text: str) -> np.ndarray:
    """int64 [N] in 0..26: a to z from 1 on; a run of anything else is one 0."""
    codes = code_points(text.lower())
    values = np.where((codes >= 97) & (codes <= 122), codes - 96, 0)
    keep = np.ones(len(values), bool)
    keep[1:] = (values[1:] > 0) | (values[:-1] > 0)
    return values[keep]


@functools.cache
def latin_surprise() -> np.ndarray:
    """float32 [27, 27, 27]: -ln p(third letter | two before), smoothed towards shorter contexts."""
    values = letters("\n".join(topics.topics.values()))
    counts = np.zeros((LETTERS,) * 3)
    np.add.at(counts, (values[:-2], values[1:-1], values[2:]), 1)
    pairs = counts.sum(0)
    single = (counts.sum((0, 1)) + 1) / (counts.sum() + LETTERS)
    double = (pairs + BACKOFF * single) / (pairs.sum(1, keepdims=True) + BACKOFF)
    triple = (counts + BACKOFF * double) / (counts.sum(2, keepdims=True) + BACKOFF)
    return -np.log(triple).astype(np.float32)


def _slots(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * 40503 + second * 2654435761) % PAIR_SLOTS


def _dictionary() -> list[tuple[np.ndarray, np.ndarray]]:
    """For each word length: words int64 [n, length], less `HAN`, and their frequencies [n]."""
    folder = importlib.util.find_spec("jieba").submodule_search_locations[0]
    lines = (pathlib.Path(folder) / "dict.txt").read_text(encoding="utf-8")
    words: dict[int, list[str]] = {}
    counts: dict[int, list[str]] = {}
    for word, count in ENTRY.findall(lines):
        words.setdefault(len(word), []).append(word)
        counts.setdefault(len(word), []).append(count)
    return [
        (code_points("".join(words[n])).reshape(-1, n) - HAN, np.array(counts[n], float))
        for n in sorted(words)
    ]


@functools.cache
def han_counts() -> tuple[np.ndarray, np.ndarray]:
    """Frequency of each Han character [0x6C00] and, hashed, of each pair inside a word [2^20]."""
    single, pairs = np.zeros(HAN_END - HAN), np.zeros(PAIR_SLOTS)
    for codes, frequencies in _dictionary():
        for place in range(codes.shape[1]):
            np.add.at(single, codes[:, place], frequencies)
        for place in range(codes.shape[1] - 1):
            np.add.at(pairs, _slots(codes[:, place], codes[:, place + 1]), frequencies)
    return single, pairs


@functools.cache
def han_surprise() -> np.ndarray:
    """float64 [0x6C00]: -ln of each Han character's share of Chinese text."""
    single, _ = han_counts()
    floor = RARE * single.sum()
    return -np.log((single + floor) / (single + floor).sum())


def _run_lengths(values: np.ndarray) -> np.ndarray:
    """int64 [letters]: of each letter, the length of the run of letters that it stands in."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], values > 0, [0]]))).reshape(-1, 2)
    lengths = ends[:, 1] - ends[:, 0]
    return np.repeat(lengths, lengths)


def latin_scores(text: str) -> np.ndarray:
    """Nats per letter, float32 [letters a to z of words of three or more].

    Names of one or two letters, as in formulas and code, tell nothing about the spelling.
    """
    values = np.concatenate([[0, 0], letters(text)])  # so that the first letters have a context
    places = np.flatnonzero(values > 0)[_run_lengths(values) >= WORD]
    return latin_surprise()[values[places - 2], values[places - 1], values[places]]


class LatinWindows(NamedTuple):
    """Consecutive stretches of letters: [W] each."""

    surprise: np.ndarray  # mean nats of letters in words of three or more; 0 if there are few
    short: np.ndarray  # share of letters in runs of one or two; 0.1 in prose
    span: np.ndarray  # characters from first to last letter, but for white space and Han


def edges(count: int, size: int) -> np.ndarray:
    """int64 [W + 1] where W windows of `size` or a little more begin and end; W is at least 1."""
    return np.linspace(0, count, max(1, count // size) + 1).astype(np.int64)


def latin_windows(text: str, size: int, least: int) -> LatinWindows:
    """Stretches of about `size` letters; none if there are fewer than `least` in all."""
    codes = code_points(text.lower())
    places = np.flatnonzero((codes >= 97) & (codes <= 122))
    if len(places) < least:
        return LatinWindows(*np.zeros((3, 0)))
    bounds = edges(len(places), size)
    first, last = bounds[:-1], bounds[1:]
    begins = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    lengths = np.diff(begins, append=len(places))
    long = np.repeat(lengths >= WORD, lengths)
    scores = np.zeros(len(places))
    scores[long] = latin_scores(text)
    known = np.add.reduceat(long.astype(np.int64), first)
    mean = np.add.reduceat(scores, first) / np.maximum(known, 1)
    passed = np.cumsum((codes > 32) & ((codes < HAN) | (codes >= HAN_END)))
    return LatinWindows(
        np.where(known >= least, mean, 0.0),
        1 - known / (last - first),
        passed[places[last - 1]] - passed[places[first]] + 1,
    )


@functools.cache
def _simplified() -> np.ndarray:
    """int64 [0x6C00] the Simplified form of each Han character; jieba counts only those."""
    known = "\n".join(map(chr, range(HAN, HAN_END)))
    made = code_points(opencc.OpenCC("t2s").convert(known).replace("\n", "")) - HAN
    return np.where(made < HAN_END - HAN, made, np.arange(HAN_END - HAN))


def _han(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Simplified Han characters, int64 [N] from 0 on, and their places in the text [N]."""
    codes = code_points(text) - HAN
    places = np.flatnonzero((codes >= 0) & (codes < HAN_END - HAN))
    return _simplified()[codes[places]], places


def han_scores(text: str) -> np.ndarray:
    """Nats per Han character, float64 [Han characters]."""
    return han_surprise()[_han(text)[0]]


def han_order(text: str) -> np.ndarray:
    """ln p(b | a) / p(b) of neighbours, float64 [pairs]; about -0.7 for prose, -4 shuffled."""
    single, pairs = han_counts()
    codes, places = _han(text)
    near = np.flatnonzero(np.diff(places) == 1)
    first, second = codes[near], codes[near + 1]
    weight = PAIR_WEIGHT * single.sum()
    alone = np.exp(-han_surprise()[second])
    joint = (pairs[_slots(first, second)] + weight * alone) / (single[first] + weight)
    return np.log(joint / alone)
