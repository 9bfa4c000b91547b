"""Every threshold of the cleaning, frozen, with the paper or the measurement that it is from."""

import dataclasses
from typing import Any, Literal

# (n, largest share of characters) pairs; Gopher, arXiv 2112.11446, table A1.
GOPHER_TOP = ((2, 0.20), (3, 0.18), (4, 0.16))
GOPHER_REPEATED = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
# FineWeb-2 (arXiv 2506.20920), configuration cmn_Hani.
HANI_TOP = ((2, 0.256), (3, 0.201), (4, 0.171))
HANI_REPEATED = ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127))
HANI_STOP_WORDS = tuple("的 年 在 月 是 和 了 有 为 中 与 也 不 人 上 这 对 他 我 就 之 以".split())


@dataclasses.dataclass(frozen=True, kw_only=True)
class English:
    """Gopher, C4 (without its terminal-punctuation rule) and FineWeb, in FineWeb's order."""

    duplicate_lines: float = 0.30
    duplicate_paragraphs: float = 0.30
    duplicate_line_characters: float = 0.20
    duplicate_paragraph_characters: float = 0.20
    top_ngrams: tuple[tuple[int, float], ...] = GOPHER_TOP
    repeated_ngrams: tuple[tuple[int, float], ...] = GOPHER_REPEATED
    words_min: int = 50
    words_max: int = 100_000
    mean_word_min: float = 3.0
    mean_word_max: float = 10.0
    symbols_per_word: float = 0.1
    bullet_lines: float = 0.9
    ellipsis_lines: float = 0.3
    words_with_letter: float = 0.8
    stop_words: int = 2
    sentences_min: int = 5
    line_punctuation: float = 0.12
    short_lines: float = 0.67
    short_line: int = 30  # characters
    line_duplicate_characters: float = 0.01
    newlines_per_word: float = 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chinese:
    """FineWeb-2 `cmn_Hani`, then ChineseWebText (2311.01149) and MAP-NEO (2405.19327)."""

    duplicate_lines: float = 0.287
    top_ngrams: tuple[tuple[int, float], ...] = HANI_TOP
    repeated_ngrams: tuple[tuple[int, float], ...] = HANI_REPEATED
    mean_word_min: float = 1.0
    mean_word_max: float = 5.0
    words_with_letter: float = 0.735
    stop_words: int = 2
    stop_word_list: tuple[str, ...] = HANI_STOP_WORDS
    line_punctuation: float = 0.106
    line_duplicate_characters: float = 0.1
    newlines_per_word: float = 0.178
    characters_min: int = 200
    characters_max: int = 100_000
    mean_line: float = 10.0  # characters
    han_share: float = 0.30
    repeated_13_grams: float = 0.5
    bracket_share: float = 0.1
    digit_share: float = 0.3
    teaser_lines: float = 0.3
    unique_characters: float = 0.1
    unique_characters_upto: int = 1000  # a share of a longer text says only that it is long
    entropy_min: float = 3.0  # nats per character
    toxic_per_line: float = 0.5
    toxic_words: tuple[str, ...] = ()  # none: no word list is carried along


@dataclasses.dataclass(frozen=True, kw_only=True)
class Garbled:
    """What no person wrote: measured limits, see the cleaning study."""

    broken_characters: float = 0.001  # share of U+FFFD, controls, private use; and at least 3
    mojibake: float = 0.2  # ftfy's badness per 1000 characters; and at least 3
    question_runs: float = 0.05  # share of characters in runs of three or more `?`
    latin_surprise: float = 5.6  # nats per letter in a window of 80; prose 2.7, mashing 7.5
    scattered_letters: float = 0.3  # share of letters in runs of one or two, in a window of 80
    han_rarity: float = 10.3  # nats per character in a window of 50; prose 7, mojibake 11.6
    han_order: float = -3.0  # mean log p(b|a)/p(b) of neighbours; prose -0.7, shuffled -4.2
    garbled_share: float = 0.23  # share of the text in windows beyond these limits
    rare_han: float = 0.14  # share of characters rarer than 12 nats
    latin_inside_han: float = 0.03  # stray short letter runs between two Han characters
    novel_words: float = 0.20  # share of words in no other document, exceeded beyond chance
    typo_surprise: float = 3.0  # nats per letter, mean of the document


@dataclasses.dataclass(frozen=True, kw_only=True)
class Duplicates:
    """MinHash over 5-grams of words and Han characters; P(found | J) = 1-(1-J^rows)^buckets."""

    ngram: int = 5
    buckets: int = 20
    rows: int = 6
    jaccard: float = 0.75  # candidates below it, by their true Jaccard similarity, stay
    seed: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaks:
    """Evaluation items that must not be trained on; n-grams of words and Han characters."""

    evaluations: tuple[str, ...] = ()  # JSON Lines files
    ngram: int = 13
    short_words: int = 5  # an item shorter than `ngram` counts when whole, from this length on
    short_han: int = 8
    alone: int = 3  # tokens; a shorter one counts as a sentence of its own, from this length on
    coverage: float = 0.75  # share of an item's tokens inside matched n-grams
    run: int = 40  # tokens in one run that count whatever the coverage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Poison:
    """A file most of whose documents are garbage is not to be trusted for the rest."""

    share: float = 0.5
    documents: int = 20  # judged from this many on


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """All of the cleaning. A part set to None is not done."""

    folder: str = "{workdir}/cleaning"  # for the work; removed when the store is whole
    engine: Literal["local", "ray"] = "local"  # ray: the cluster that this process can reach
    languages: tuple[str, ...] = ("en", "zh")  # natural languages to keep
    language_share: float = 0.65  # of the text, by the identifier
    blocked: tuple[str, ...] = ()  # sources or domains, with their sub-domains
    allowed: tuple[str, ...] = ()  # nothing else, if there is one
    curated: tuple[str, ...] = ()  # sources that the web-page rules leave alone
    english: English | None = English()
    chinese: Chinese | None = Chinese()
    garbled: Garbled | None = Garbled()
    duplicates: Duplicates | None = Duplicates()
    leaks: Leaks | None = Leaks()
    poison: Poison | None = Poison()
    private: tuple[str, ...] = ("email", "identity", "card", "phone", "address")
    scorer: str = ""  # file of a trained scorer
    score_min: float = 0.5
    traditional: Literal["apart", "together"] = "apart"  # Traditional Chinese: DOMAIN_hant, or not
    samples: int = 3  # per rule, in the report
    shard_characters: int = 8_000_000  # text that one task works on

    def __post_init__(self):
        if not 0 < self.language_share <= 1:
            raise ValueError(f"language_share={self.language_share} must be above 0 and at most 1.")
        if self.shard_characters < 1:
            raise ValueError(f"shard_characters={self.shard_characters} must be at least 1.")
        if self.duplicates and not 0 < self.duplicates.jaccard <= 1:
            raise ValueError(f"jaccard={self.duplicates.jaccard} must be above 0 and at most 1.")


def shaping(settings: Settings) -> dict[str, Any]:
    """The settings that change what comes out, as plain values: not where and how it is made."""
    values = dataclasses.asdict(settings)
    return {name: value for name, value in values.items() if name not in ("folder", "engine")}
