import pytest
from datatrove.utils.word_tokenizers import load_word_tokenizer

from aquila_jax.dmu.clean import words


def test_english_words_and_marks():
    assert words.ENGLISH.word_tokenize("Don't go, v1.2!") == ["Don't", "go", ",", "v1.2", "!"]
    assert words.ENGLISH.sent_tokenize("One. Two? 三。") == ["One.", "Two?", "三。"]
    assert words.ENGLISH.span_tokenize("Ab. Cd.") == [(0, 3), (3, 7)]


def test_chinese_words_are_jiebas():
    made = words.CHINESE.word_tokenize("委员会在 星期二\n开会。")
    assert made == ["委员会", "在", "星期二", "开会", "。"]


def test_library_takes_them():
    assert load_word_tokenizer(words.CHINESE) is words.CHINESE


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_nothing(text):
    assert words.ENGLISH.word_tokenize(text) == words.CHINESE.word_tokenize(text) == []
