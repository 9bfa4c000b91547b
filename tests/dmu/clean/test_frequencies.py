import random

import numpy as np
import pytest

from aquila_jax.dmu.clean import frequencies

PROSE = (
    "The committee met on Tuesday to discuss what had happened during the long winter, and "
    "several members thought that the road outside the village should be repaired first."
)
ZH = "委员会在星期二开会，讨论了去年发生的几件大事，也听取了各地代表的意见和建议。"


def test_surprises_are_those_of_distributions():
    assert np.allclose(np.exp(-frequencies.latin_surprise()).sum(-1), 1, atol=1e-5)
    assert np.exp(-frequencies.han_surprise()).sum() == pytest.approx(1)


def test_letters_of_short_names_are_not_scored():
    assert frequencies.letters("Ab, c").tolist() == [1, 2, 0, 3]
    assert len(frequencies.latin_scores("ab x yz 12")) == 0
    assert len(frequencies.latin_scores("ab abcd")) == 4
    table = frequencies.latin_surprise()
    for text, before in (("the", (0, 0)), ("x the", (24, 0))):
        scores = frequencies.latin_scores(text).tolist()
        assert scores == [table[*before, 20], table[0, 20, 8], table[20, 8, 5]]


def test_windows_in_closed_form():
    made = frequencies.latin_windows("abc 12 天de fgh", 4, 2)
    assert made.short.tolist() == [0.25, 0.25] and made.span.tolist() == [6, 4]
    scores = frequencies.latin_scores("abc 12 天de fgh")
    assert made.surprise == pytest.approx([scores[:3].mean(), scores[3:].mean()], rel=1e-6)
    assert frequencies.edges(10, 4).tolist() == [0, 5, 10]
    assert frequencies.latin_windows("abc", 80, 3).span.tolist() == [3]
    assert len(frequencies.latin_windows("ab", 80, 3).span) == 0


def test_prose_is_probable_and_mashing_is_not():
    rng = random.Random(0)
    mashed = " ".join(
        "".join(rng.choice("asdfghjklqwertyuiop") for _ in range(rng.randint(3, 9)))
        for _ in range(40)
    )
    assert frequencies.latin_scores(PROSE).mean() < 3.0
    assert frequencies.latin_scores(mashed).mean() > 5.5


def test_chinese_characters_and_their_order():
    rng = random.Random(0)
    shuffled = list(ZH * 4)
    rng.shuffle(shuffled)
    random_han = "".join(chr(rng.randint(0x4E00, 0x9FA5)) for _ in range(100))
    assert frequencies.han_scores(ZH).mean() < 8
    assert frequencies.han_scores(random_han).mean() > 12
    assert frequencies.han_order(ZH).mean() > frequencies.han_order("".join(shuffled)).mean() + 1


@pytest.mark.parametrize("text", ["", "a", "天", "1 2"])
def test_nothing_to_score(text):
    assert len(frequencies.latin_scores(text)) == 0
    assert len(frequencies.han_order(text)) == 0


def test_traditional_is_as_probable_as_simplified():
    simplified, traditional = "这个国家的学问与书籍很多", "這個國家的學問與書籍很多"
    assert (
        frequencies.han_scores(traditional).tolist() == frequencies.han_scores(simplified).tolist()
    )
    assert frequencies.han_order(traditional).tolist() == frequencies.han_order(simplified).tolist()
