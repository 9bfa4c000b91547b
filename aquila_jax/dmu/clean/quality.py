"""Which pages read like good text: datatrove's filters with each language's constants."""

import functools
from collections.abc import Callable

from datatrove.data import Document
from datatrove.pipeline import filters

from aquila_jax.dmu.clean import chinese, words
from aquila_jax.dmu.clean.settings import Chinese, English


@functools.cache
def english_filters(limits: English) -> tuple[Callable, ...]:
    """FineWeb's chain: Gopher repetition, Gopher quality, C4, FineWeb."""
    repetition = filters.GopherRepetitionFilter(
        dup_line_frac=limits.duplicate_lines,
        dup_para_frac=limits.duplicate_paragraphs,
        dup_line_char_frac=limits.duplicate_line_characters,
        dup_para_char_frac=limits.duplicate_paragraph_characters,
        top_n_grams=limits.top_ngrams,
        dup_n_grams=limits.repeated_ngrams,
        language=words.ENGLISH,
    )
    gopher = filters.GopherQualityFilter(
        min_doc_words=limits.words_min,
        max_doc_words=limits.words_max,
        min_avg_word_length=limits.mean_word_min,
        max_avg_word_length=limits.mean_word_max,
        max_symbol_word_ratio=limits.symbols_per_word,
        max_bullet_lines_ratio=limits.bullet_lines,
        max_ellipsis_lines_ratio=limits.ellipsis_lines,
        max_non_alpha_words_ratio=limits.words_with_letter,
        min_stop_words=limits.stop_words,
        language=words.ENGLISH,
    )
    c4 = filters.C4QualityFilter(
        filter_no_terminal_punct=False,
        min_num_sentences=limits.sentences_min,
        language=words.ENGLISH,
    )
    fineweb = filters.FineWebQualityFilter(
        line_punct_thr=limits.line_punctuation,
        short_line_thr=limits.short_lines,
        short_line_length=limits.short_line,
        char_duplicates_ratio=limits.line_duplicate_characters,
        new_line_ratio=limits.newlines_per_word,
        language=words.ENGLISH,
    )
    return tuple(step.filter for step in (repetition, gopher, c4, fineweb))


@functools.cache
def chinese_filters(limits: Chinese) -> tuple[Callable, ...]:
    """FineWeb-2's chain for cmn_Hani: no paragraph rules, no C4, no rule on short lines."""
    repetition = filters.GopherRepetitionFilter(
        dup_line_frac=limits.duplicate_lines,
        dup_para_frac=None,
        dup_line_char_frac=None,
        dup_para_char_frac=None,
        top_n_grams=limits.top_ngrams,
        dup_n_grams=limits.repeated_ngrams,
        language=words.CHINESE,
    )
    gopher = filters.GopherQualityFilter(
        min_avg_word_length=limits.mean_word_min,
        max_avg_word_length=limits.mean_word_max,
        max_non_alpha_words_ratio=limits.words_with_letter,
        min_stop_words=limits.stop_words,
        stop_words=list(limits.stop_word_list),
        language=words.CHINESE,
    )
    fineweb = filters.FineWebQualityFilter(
        line_punct_thr=limits.line_punctuation,
        short_line_thr=1.0,
        char_duplicates_ratio=limits.line_duplicate_characters,
        new_line_ratio=limits.newlines_per_word,
        language=words.CHINESE,
    )
    return tuple(step.filter for step in (repetition, gopher, fineweb))


def _first_broken(document: Document, chain: tuple[Callable, ...], prefix: str) -> str | None:
    for rule in chain:
        result = rule(document)
        if isinstance(result, tuple) and not result[0]:
            return f"{prefix}_{result[1]}"
    return None


def broken_english(document: Document, limits: English) -> str | None:
    """The first rule that an English page breaks; C4 takes lines out of `document.text`."""
    return _first_broken(document, english_filters(limits), "english")


def broken_chinese(document: Document, limits: Chinese) -> str | None:
    """The first rule that a Chinese page breaks."""
    found = chinese.broken_rule(document.text, limits)
    return found or _first_broken(document, chinese_filters(limits), "chinese")
