"""Numbers in words, read back by another reader; every sum and numeral of the text is right."""

import re

from aquila_jax.dmu import sample
from aquila_jax.dmu.sample_numbers import OPERATIONS, chinese, english, operands, words
from aquila_jax.dmu.sample_questions import questions

SEED = 3


def read_english(text):
    """The number that the words say, read from left to right, unlike how they are written."""
    small = {english(n): n for n in (*range(20), *range(20, 100, 10))}
    thousands = hundreds = rest = 0
    for word in text.lower().replace("-", " ").split():
        if word == "thousand":
            thousands, rest = rest, 0
        elif word == "hundred":
            hundreds, rest = rest, 0
        elif word != "and":
            rest += small[word]
    return thousands * 1000 + hundreds * 100 + rest


def read_chinese(text):
    """The number that the characters say."""
    total, digit = 0, None
    for sign in text.replace("两", "二"):
        if sign in "十百千":
            total += (1 if digit is None else digit) * {"十": 10, "百": 100, "千": 1000}[sign]
            digit = None
        elif sign != "零":
            digit = "零一二三四五六七八九".index(sign)
    return total + (digit or 0)


def read_sums(text):
    """Every sum that the text tells, as two numbers with a sign between, and the result."""
    signs = {"plus": "+", "minus": "-", "times": "*", "加": "+", "减": "-", "乘": "*"}
    told = r"([A-Za-z-]+) (plus|minus|times) ([a-z-]+)(?: is| equals| makes|\?\nAnswer:) ([a-z-]+(?: hundred)?)"
    for a, name, b, c in re.findall(told, text):
        yield read_english(a), signs[name], read_english(b), read_english(c)
    number = "([零一二三四五六七八九十百]+)"
    told = f"{number}([加减乘]){number}(?:等于|的结果是|得|等于多少？\n答案：){number}"
    for a, name, b, c in re.findall(told, text):
        yield read_chinese(a), signs[name], read_chinese(b), read_chinese(c)
    for a, sign, b, c in re.findall(r"^(\d+) ([-+*]) (\d+) = (\d+)$", text, re.MULTILINE):
        yield int(a), sign, int(b), int(c)


def is_right(a, sign, b, c):
    return {"+": a + b, "-": a - b, "*": a * b}[sign] == c


def texts(name, size=5e5):
    (domain,) = [domain for domain in sample.DOMAINS if domain.name == name]
    return "\n\n".join(row["text"] for row in sample.documents(domain, seed=SEED, size=size))


def test_numbers_in_words():
    assert english(0) == "zero" and chinese(0) == "零"
    assert words(21) == ("twenty-one", "二十一")
    assert words(10) == ("ten", "十") and words(2000) == ("two thousand", "二千")
    assert words(9999)[0] == "nine thousand nine hundred and ninety-nine"
    assert [chinese(n) for n in (105, 110, 1010, 1100, 3005)] == [
        "一百零五", "一百一十", "一千零一十", "一千一百", "三千零五",
    ]  # fmt: skip
    assert all(read_chinese(chinese(n)) == n for n in range(10_000))
    assert all(read_english(english(n)) == n for n in range(10_000))
    assert len({english(n) for n in range(10_000)}) == 10_000


def test_sums_are_right():
    told = list(read_sums(texts("en_math") + "\n" + texts("zh_math")))
    assert len(told) > 2000 and all(is_right(*sum_) for sum_ in told)
    names = {value[0]: operation for operation, value in OPERATIONS.items()}
    held_out = {operation: set(operands(operation, seed=SEED)[1]) for operation in OPERATIONS}
    assert all(len(pairs) >= 4 for pairs in held_out.values())
    assert not any((a, b) in held_out[names[sign]] for a, sign, b, _ in told)


def test_numerals_are_right():
    text = texts("en_math", 3e5) + texts("zh_math", 3e5)
    told = re.findall(r"The number (\d+) is written ([a-z -]+)\.", text)
    assert len(told) > 100 and all(read_english(text) == int(n) for n, text in told)
    told = re.findall(r"数字(\d+)写作([零一二三四五六七八九十百千]+)。", text)
    assert len(told) > 100 and all(read_chinese(text) == int(n) for n, text in told)


def test_sums_that_are_asked_are_right():
    asked = [row for row in questions(SEED) if row["task"] in OPERATIONS]
    assert len(asked) > 60
    for row in asked:
        space = " " if row["lang"] == "en" else ""
        sums = list(read_sums(f"{row['context']}{space}{row['choices'][row['answer']]}"))
        assert len(sums) == 1 and is_right(*sums[0])
