"""Text that no person wrote: wrong encodings, keyboard noise, random characters."""

import math
import re
from collections.abc import Callable

import numpy as np
from ftfy import badness

from aquila_jax.dmu.clean import frequencies
from aquila_jax.dmu.clean.settings import Garbled

Verdict = tuple[str, str] | None  # rule and evidence

BROKEN = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffd-\uffff]"
)
# UTF-8 punctuation read as GBK: “ ” ’ — begin with E2 80, 、 。 「 with E3 80; U+FFFD twice.
MISREAD = re.compile("鈥|銆|锟斤拷|ï¿½|ï»¿|烫烫烫|屯屯屯")
# Without a lead byte of UTF-8 as some single-byte encoding shows it, ftfy (1 MB/s) is not asked.
SUSPECT = re.compile("[\xc0-\xff\u0370-\u04ff\u2500-\u259f\u0402\u201a\u0192]")
ODD = re.compile(r".{0,2}[^\x00-\x7f]+.{0,2}")
QUESTIONS = re.compile(r"\?{3,}")
STRAY = re.compile(r"(?<=[\u4e00-\u9fff])[a-z]{1,3}(?=[\u4e00-\u9fff])")
LATIN_WINDOW, HAN_WINDOW = 80, 50
FEW = 3  # less of anything may be chance
ENOUGH = 30  # characters to judge by
PAIRS_ENOUGH = 100
WORDS_ENOUGH = 15
STANDARD_ERRORS = 3  # by which new words must exceed their limit, so that few words may be chance
RARE_NATS = 12.0
HAN_WEIGHT = 2  # letters of text that a Han character is worth


def broken_characters(text: str, limits: Garbled) -> Verdict:
    """U+FFFD, control characters, halves of surrogate pairs, private use."""
    found = len(BROKEN.findall(text))
    if found >= FEW and found / len(text) > limits.broken_characters:
        return "garbled_broken_characters", f"{found} of {len(text)} characters"
    return None


def mojibake(text: str, limits: Garbled) -> Verdict:
    """UTF-8 read as a single-byte encoding (ftfy's measure), or as GBK."""
    found = badness.badness(" ".join(ODD.findall(text))) if SUSPECT.search(text) else 0
    found += 0 if text.isascii() else len(MISREAD.findall(text))
    if found >= FEW and 1000 * found / len(text) > limits.mojibake:
        return "garbled_mojibake", f"{found} misread sequences"
    return None


def question_runs(text: str, limits: Garbled) -> Verdict:
    """Text written to an encoding that lacks its characters: each became a question mark."""
    lost = sum(map(len, QUESTIONS.findall(text)))
    share = lost / len(text)
    return ("garbled_question_runs", f"share {share:.2f}") if share > limits.question_runs else None


def _windows(scores: np.ndarray, size: int) -> np.ndarray:
    """Means over consecutive windows; none of a text that is too short to judge."""
    if len(scores) < ENOUGH:
        return np.zeros(0)
    bounds = frequencies.edges(len(scores), size)
    return np.add.reduceat(scores, bounds[:-1]) / np.diff(bounds)


def _share(bad: np.ndarray) -> float:
    return float(bad.mean()) if len(bad) else 0.0


def _bad_latin(text: str, limits: Garbled, *, scattered: float) -> float:
    """Characters outside of white space and Han in stretches that nobody would spell so."""
    windows = frequencies.latin_windows(text, LATIN_WINDOW, ENOUGH)
    bad = (windows.surprise > limits.latin_surprise) | (windows.short > scattered)
    return float(windows.span[bad].sum())


def _improbable(text: str, limits: Garbled, *, scattered: float) -> Verdict:
    han = frequencies.han_scores(text)
    size = sum(map(len, text.split())) + (HAN_WEIGHT - 1) * len(han)
    bad_han = _share(_windows(han, HAN_WINDOW) > limits.han_rarity) * HAN_WEIGHT * len(han)
    bad_latin = _bad_latin(text, limits, scattered=scattered)
    share = (bad_latin + bad_han) / max(size, ENOUGH)
    if share <= limits.garbled_share:
        return None
    return "garbled_letters" if bad_latin > bad_han else "garbled_han", f"{share:.2f} of the text"


def improbable(text: str, limits: Garbled) -> Verdict:
    """Letters or Han characters that no language puts together, in windows."""
    return _improbable(text, limits, scattered=1.0)


def scattered(text: str, limits: Garbled) -> Verdict:
    """The same, and random characters: most letters stand in runs of one or two."""
    return _improbable(text, limits, scattered=limits.scattered_letters)


def rare_han(text: str, limits: Garbled) -> Verdict:
    """Random characters strewn over a Chinese text."""
    scores = frequencies.han_scores(text)
    share = _share(scores > RARE_NATS)
    if len(scores) >= ENOUGH and share > limits.rare_han:
        return "garbled_rare_han", f"share {share:.2f}"
    return None


def shuffled_han(text: str, limits: Garbled) -> Verdict:
    """Common characters in an order that no words make."""
    order = frequencies.han_order(text)
    if len(order) >= PAIRS_ENOUGH and order.mean() < limits.han_order:
        return "garbled_han_order", f"{order.mean():.2f} nats a pair"
    return None


def stray_letters(text: str, limits: Garbled) -> Verdict:
    """Keys hit by chance between Chinese characters."""
    han = len(frequencies.han_scores(text))
    share = len(STRAY.findall(text)) / max(han, 1)
    if han >= ENOUGH and share > limits.latin_inside_han:
        return "garbled_stray_letters", f"{share:.2f} a character"
    return None


def typing_errors(
    text: str, limits: Garbled, novelty: Callable[[str], tuple[float, int]]
) -> Verdict:
    """Many words that no other document has, and that are spelled like none."""
    latin = frequencies.latin_scores(text)
    if len(latin) < ENOUGH or latin.mean() < limits.typo_surprise:
        return None
    share, words = novelty(text)
    error = math.sqrt(limits.novel_words * (1 - limits.novel_words) / max(words, 1))
    if words >= WORDS_ENOUGH and share > limits.novel_words + STANDARD_ERRORS * error:
        return "garbled_typing_errors", f"{share:.2f} of {words} words are new"
    return None


ALWAYS = (broken_characters, mojibake, question_runs)
CHINESE = (rare_han, shuffled_han, stray_letters)
RULES = {
    "en": (*ALWAYS, scattered),
    "zh": (*ALWAYS, scattered, *CHINESE),
    "": (*ALWAYS, scattered, *CHINESE),
}


def verdict(
    text: str, language: str, limits: Garbled, novelty: Callable[[str], tuple[float, int]]
) -> Verdict:
    """The first rule that the text breaks.

    Code, formulas and mixed languages hold rare words, short names and stray letters by nature, so
    that the rules on these look at plain text only.
    """
    for rule in RULES.get(language, (*ALWAYS, improbable)):
        if found := rule(text, limits):
            return found
    return typing_errors(text, limits, novelty) if language in ("en", "") else None
