import gzip
import inspect
import json
import re

import pytest
from datatrove.data import Document

from aquila_jax.dmu.clean import chinese as rules_of_chinese
from aquila_jax.dmu.clean import quality
from aquila_jax.dmu.clean.settings import Chinese, English
from aquila_jax.report.words import WORDS
from tests.dmu.clean.texts import PROSE


def english(text, **limits):
    return quality.broken_english(Document(text=text, id="x"), English(**limits))


def chinese(text, **limits):
    return quality.broken_chinese(Document(text=text, id="x"), Chinese(**limits))


def test_prose_passes():
    assert english(PROSE) is None


@pytest.mark.parametrize(
    "text, rule",
    [
        (PROSE.split("\n")[0], "english_gopher_short_doc"),
        (PROSE * 3, "english_dup_line_frac"),
        ("Click here to win. " * 60, "english_top_2_gram"),
        (PROSE + "function f() { return 1 }\n", "english_curly_bracket"),
        (PROSE + "Lorem ipsum dolor sit amet.\n", "english_lorem_ipsum"),
        (PROSE.replace(". ", "... ").replace(" ", " # "), "english_gopher_too_many_hashes"),
        ("\n".join(PROSE.replace(".", "").split()), "english_too_few_sentences"),
    ],
)
def test_each_english_rule_has_its_text(text, rule):
    assert english(text) == rule


CHAINS = {
    "english": (quality.english_filters(English()), English()),
    "chinese": (quality.chinese_filters(Chinese()), Chinese()),
}
NEVER = {"dup_para_frac", "dup_para_char_frac", "dup_line_char_frac", "short_line_ratio"}


@pytest.mark.parametrize("language", CHAINS)
def test_every_rule_has_words_in_the_report(language):
    chain, limits = CHAINS[language]
    sources = "".join(inspect.getsource(type(step.__self__)) for step in chain)
    names = set(re.findall(r'return False, "(\w+)"', sources))
    names |= {f"top_{n}_gram" for n, _ in limits.top_ngrams}
    names |= {f"duplicated_{n}_n_grams" for n, _ in limits.repeated_ngrams}
    names -= NEVER if language == "chinese" else set()  # whose thresholds are off
    told = {f"rule.{language}_{name}" for name in names}
    if language == "chinese":
        rules = re.findall(r'return "(\w+)"', inspect.getsource(rules_of_chinese.broken_rule))
        told |= {f"rule.{name}" for name in rules}
    assert told == {key for key in WORDS if key.startswith(f"rule.{language}_")}


def test_thresholds_come_from_the_settings():
    assert english(PROSE, words_min=500) == "english_gopher_short_doc"
    assert english(PROSE, stop_words=9) == "english_gopher_enough_stop_words"
    assert english(PROSE * 3, duplicate_lines=1.0) != "english_dup_line_frac"


def test_lines_with_policies_are_cut_out():
    document = Document(text=PROSE + "This site uses cookies to serve you.\n", id="x")
    assert quality.broken_english(document, English()) is None
    assert "cookies" not in document.text and "committee" in document.text


def test_chinese_chain(corpus):

    with gzip.open(corpus / "zh_modern" / "heldout.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    wikipedia = [text for text in texts if len(text) > 400 and text.count("。") > 8][:20]
    assert sum(chinese(text) is None for text in wikipedia) >= 15
    assert chinese(wikipedia[0], stop_words=23) == "chinese_gopher_enough_stop_words"
    spam = "欢迎光临本店，今天全场打折，" * 40
    assert chinese(spam, repeated_13_grams=1.0).startswith(("chinese_top", "chinese_monotonous"))
