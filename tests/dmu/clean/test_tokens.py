import random

import numpy as np
import pytest

from aquila_jax.dmu.clean import tokens


def hashes(text):
    return tokens.tokenise(text)[0].tolist()


def test_case_punctuation_space_and_width_do_not_matter():
    assert hashes("Hello, WORLD!") == hashes(" hello\nworld ") == hashes("ＨＥＬＬＯ　world。")
    assert hashes("天地玄黄") == hashes("天，地 玄\n黄。")


@pytest.mark.parametrize(
    "text, count", [("don't stop", 3), ("天地ab玄c1", 5), ("", 0), ("...", 0), ("3+2", 3)]
)
def test_number_of_tokens(text, count):
    assert len(hashes(text)) == count


def test_words_differ_by_any_letter_and_by_order_of_letters():
    words = ["abc", "acb", "abd", "ab", "bc", "天", "地", "3", "33"]
    assert len({hashes(word)[0] for word in words}) == len(words)


def test_starts_point_at_the_tokens():
    text = "One two 天地"
    _, starts, single = tokens.tokenise(text)
    assert [tokens.normalise(text)[start] for start in starts] == ["o", "t", "天", "地"]
    assert single.tolist() == [False, False, True, True]


def test_ngrams_are_equal_exactly_where_the_tokens_are():
    values = np.array(hashes("a b c d a b c e"), np.uint64)
    grams = tokens.ngrams(values, 3)
    assert grams[0] == grams[4] and len(set(grams.tolist())) == 5
    assert len(tokens.ngrams(values, 9)) == 0


def test_short_texts_are_one_shingle():
    assert len(tokens.shingles("one two", 5)) == 1
    assert tokens.shingles("one two", 5) != tokens.shingles("one three", 5)
    assert len(tokens.shingles("", 5)) == 0


def test_jaccard_against_python_sets():
    rng = random.Random(0)
    for _ in range(20):
        left, right = (
            np.unique([rng.randrange(40) for _ in range(rng.randrange(1, 30))]) for _ in "ab"
        )
        a, b = set(left.tolist()), set(right.tolist())
        assert tokens.jaccard(left, right) == pytest.approx(len(a & b) / len(a | b))


def test_chinese_is_taken_by_characters_and_english_by_words():
    chinese = "我们在abcdef集群中使用它来管理容器"
    assert len(tokens.shingles(chinese, 5)) == len(chinese) - 4
    english = "we use it to manage containers in 集群"
    assert len(tokens.shingles(english, 5)) == 9 - 4
