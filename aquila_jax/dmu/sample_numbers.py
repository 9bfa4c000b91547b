"""Numbers in English and Chinese words, and sums of two of them that are held out or not."""

import functools
import zlib

from aquila_jax.dmu.sample_facts import Pair

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
DIGITS = "零一二三四五六七八九"
HELD_OUT_SHARE = 8  # one pair of operands in so many is kept for the questions

# Sign, its name, and the largest operands: what a child has by heart.
OPERATIONS = {
    "addition": ("+", ("plus", "加"), 20),
    "subtraction": ("-", ("minus", "减"), 20),
    "multiplication": ("*", ("times", "乘"), 10),
}


def english(number: int) -> str:
    """The number in English words, 0 to 9999.

    >>> english(4015)
    'four thousand and fifteen'
    """
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            joint = " and " if 0 < rest < 100 else " "
            return f"{english(number // size)} {name}{joint + english(rest) if rest else ''}"
    if number < 20:
        return ONES[number]
    return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")


def chinese(number: int) -> str:
    """The number in Chinese characters, 0 to 9999.

    >>> chinese(4015), chinese(12), chinese(110), chinese(1001)
    ('四千零一十五', '十二', '一百一十', '一千零一')
    """
    if number < 20:
        tail = DIGITS[number % 10] if number % 10 or not number else ""
        return ("十" if number >= 10 else "") + tail
    text, gap = "", False
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // size % 10
        # One 零 stands for all the zeros between two digits; leading and last ones are not said.
        if digit:
            text += ("零" if gap else "") + DIGITS[digit] + name
        gap = bool(text) and digit == 0
    return text


def counted(number: int) -> str:
    """The Chinese number before a measure word, where two is 两."""
    return "两" if number == 2 else chinese(number)


def words(number: int) -> Pair:
    """The number in both languages, 0 to 9999."""
    return english(number), chinese(number)


def result(operation: str, a: int, b: int) -> int:
    """What the operation makes of two numbers."""
    return {"addition": a + b, "subtraction": a - b, "multiplication": a * b}[operation]


def is_held_out(operation: str, a: int, b: int, *, seed: int) -> bool:
    """Whether these operands stand in questions only, and never in training.

    Of a sum and its mirror only the one with the smaller number first can be held out, so
    that the other teaches it.
    """
    learnable = operation == "subtraction" or a < b
    return learnable and zlib.crc32(f"{seed}/{operation}/{a}/{b}".encode()) % HELD_OUT_SHARE == 0


@functools.cache
def operands(operation: str, *, seed: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """All pairs of operands, those for training and those held out."""
    largest = OPERATIONS[operation][2]
    pairs = [(a, b) for a in range(1, largest + 1) for b in range(1, largest + 1)]
    if operation == "subtraction":
        pairs = [(a, b) for a, b in pairs if a > b]
    held_out = {pair for pair in pairs if is_held_out(operation, *pair, seed=seed)}
    return [pair for pair in pairs if pair not in held_out], sorted(held_out)
