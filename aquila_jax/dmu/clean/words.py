"""Word tokenizers for datatrove's filters that are 30 times as fast as its own.

datatrove splits English by spaCy (0.14 MB/s on one core) and Chinese by spaCy over jieba
(0.09 MB/s); its filters accept any `WordTokenizer`. The rules count words, so a regular
expression and the Rust build of the same jieba (4 and 8 MB/s) decide alike on 98 of 100
documents.
"""

import re

import rjieba
from datatrove.utils import word_tokenizers

WORD = re.compile(r"\w(?:\S*\w)?|[^\w\s]")  # a run without white space, its outer marks apart
SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*[\"'”’)]*|[.!?。！？]+")


class Words(word_tokenizers.WordTokenizer):
    """Words and single punctuation marks; the base class is what datatrove asks for."""

    def word_tokenize(self, text: str) -> list[str]:
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [sentence.strip() for sentence in SENTENCE.findall(text) if sentence.strip()]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in SENTENCE.finditer(text)]


class HanWords(Words):
    """jieba's words."""

    def word_tokenize(self, text: str) -> list[str]:
        return [word for word in rjieba.cut(text) if not word.isspace()]


ENGLISH = Words()
CHINESE = HanWords()
