"""Rules for Chinese web pages that datatrove lacks: ChineseWebText and MAP-NEO."""

import collections
import math
import re

from aquila_jax.dmu.clean.settings import Chinese

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
PUNCTUATION = re.compile(r"[，。！？；：、,.!?;:]")
DIGIT = re.compile(r"\d")
TEASER = re.compile(r"(?:展开|更多|查看全文|点击查看|阅读全文|全文阅读)[.…>》]*$")


def lines(text: str) -> list[str]:
    """The lines that hold something."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def mean_line(text: str) -> float:
    """Characters per line (ChineseWebText: at least 10)."""
    kept = lines(text)
    return sum(map(len, kept)) / len(kept) if kept else 0.0


def han_share(text: str) -> float:
    """Chinese characters among all but white space (ChineseWebText: at least 0.3)."""
    dense = "".join(text.split())
    return len(HAN.findall(dense)) / len(dense) if dense else 0.0


def repeated_ngrams(text: str, length: int = 13) -> float:
    """Share of character n-grams that stand more than once (ChineseWebText: at most 0.5)."""
    counts = collections.Counter(text[at : at + length] for at in range(len(text) - length + 1))
    total = counts.total()
    return sum(count for count in counts.values() if count > 1) / total if total else 0.0


def bracket_share(text: str) -> float:
    """Share of 【 and 】, which mark advertisements and link lists (MAP-NEO: at most 0.1)."""
    return (text.count("【") + text.count("】")) / max(len(text), 1)


def digit_share(text: str) -> float:
    """Share of digits (MAP-NEO: at most 0.3)."""
    return len(DIGIT.findall(text)) / max(len(text), 1)


def teaser_lines(text: str) -> float:
    """Share of lines cut off by "more" (MAP-NEO: at most 0.3)."""
    kept = lines(text)
    return sum(bool(TEASER.search(line)) for line in kept) / len(kept) if kept else 0.0


def unique_characters(text: str) -> float:
    """Different characters per character (MAP-NEO: above 0.1)."""
    return len(set(text)) / max(len(text), 1)


def entropy(text: str) -> float:
    """Nats per character of the unigram distribution (MAP-NEO: at least 3)."""
    counts = collections.Counter(text)
    total = counts.total()
    return -sum(n / total * math.log(n / total) for n in counts.values()) if total else 0.0


def toxic_per_line(text: str, words: tuple[str, ...]) -> float:
    """Listed words per line (ChineseWebText: at most 0.5)."""
    return sum(text.count(word) for word in words) / max(len(lines(text)), 1)


def broken_rule(text: str, limits: Chinese) -> str | None:
    """The first rule that a Chinese page breaks."""
    head = text[: limits.unique_characters_upto]
    if not limits.characters_min <= len(text) <= limits.characters_max:
        return "chinese_length"
    if mean_line(text) < limits.mean_line:
        return "chinese_short_lines"
    if han_share(text) < limits.han_share:
        return "chinese_few_characters"
    if bracket_share(text) > limits.bracket_share:
        return "chinese_brackets"
    if digit_share(text) > limits.digit_share:
        return "chinese_digits"
    if teaser_lines(text) > limits.teaser_lines:
        return "chinese_teasers"
    if not PUNCTUATION.search(text):
        return "chinese_no_punctuation"
    if unique_characters(head) <= limits.unique_characters or entropy(text) < limits.entropy_min:
        return "chinese_monotonous"
    if repeated_ngrams(text) > limits.repeated_13_grams:
        return "chinese_repeated_13_grams"
    if limits.toxic_words and toxic_per_line(text, limits.toxic_words) > limits.toxic_per_line:
        return "chinese_toxic"
    return None
