"""Arithmetic in words and digits, in sentences, small stories and rounds of questions."""

import random

from aquila_jax.dmu.sample_articles import ANSWER, QUESTION, SPACE, ZH
from aquila_jax.dmu.sample_numbers import OPERATIONS, counted, operands, result, words

SENTENCES = (
    ("{a} {sign} {b} is {c}.", "{a}{sign}{b}等于{c}。"),
    ("{a} {sign} {b} equals {c}.", "{a}{sign}{b}的结果是{c}。"),
    ("{a} {sign} {b} makes {c}.", "{a}{sign}{b}得{c}。"),
)
QUESTIONS = ("What is {a} {sign} {b}?", "{a}{sign}{b}等于多少？")
PROBLEMS = {
    "addition": (
        ("{name} has {a} {thing}s and gets {b} more. Now {name} has {c} {thing}s.",
         "{name}有{a}个{thing}，又得到{b}个。现在{name}有{c}个{thing}。"),
        ("There are {a} {thing}s in one box and {b} in another. Together there are {c}.",
         "一个盒子里有{a}个{thing}，另一个里有{b}个。一共有{c}个。"),
    ),
    "subtraction": (
        ("{name} has {a} {thing}s and gives away {b}. Now {name} has {c}.",
         "{name}有{a}个{thing}，送出{b}个。现在{name}还有{c}个。"),
        ("Of {a} {thing}s {b} are gone, so the number left is {c}.",
         "{a}个{thing}拿走{b}个，还剩{c}个。"),
    ),
    "multiplication": (
        ("There are {a} bags with {b} {thing}s each. {name} counts {c} {thing}s.",
         "有{a}个袋子，每个里有{b}个{thing}。{name}数出{c}个{thing}。"),
    ),
}  # fmt: skip
NAMES = (("Tom", "汤姆"), ("Lily", "莉莉"), ("Li Ming", "李明"), ("Mei", "小梅"), ("Anna", "安娜"))
THINGS = (("apple", "苹果"), ("pear", "梨"), ("ball", "球"), ("cake", "蛋糕"), ("egg", "鸡蛋"))
HEADING = ("Sums to learn by heart", "要背的算术")
NUMERALS = (
    ("The number {n} is written {w}.", "数字{n}写作{w}。"),
    ("{w} in digits is {n}.", "{w}用数字写是{n}。"),
)
COMPARISONS = (
    ("{b} is more than {a}.", "{b}比{a}大。"),
    ("{a} is less than {b}.", "{a}比{b}小。"),
)


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[0].upper() + text[1:]


def spoken(operation: str, pair: tuple[int, int], language: int) -> dict[str, str]:
    """Operands, sign and result in words."""
    a, b = pair
    c = result(operation, a, b)
    numbers = {"a": words(a)[language], "b": words(b)[language], "c": words(c)[language]}
    return numbers | {"sign": OPERATIONS[operation][1][language]}


def ask(operation: str, pair: tuple[int, int], language: int) -> tuple[str, str]:
    """The sum as a prompt, and its answer in words."""
    told = spoken(operation, pair, language)
    question = capital(QUESTIONS[language].format(**told))
    return QUESTION[language].format(q=question), told["c"]


def problem(draw: random.Random, operation: str, pair: tuple[int, int], *, language: int) -> str:
    """The sum as something that happens to people and things."""
    told = spoken(operation, pair, language)
    if language == ZH:
        a, b = pair
        told |= {"a": counted(a), "b": counted(b), "c": counted(result(operation, a, b))}
    text = draw.choice(PROBLEMS[operation])[language]
    name, thing = draw.choice(NAMES)[language], draw.choice(THINGS)[language]
    return text.format(name=name, thing=thing, **told)


def number_remark(draw: random.Random, language: int) -> str:
    """How a larger number is written, or which of two is larger."""
    if draw.random() < 0.5:
        number = draw.randrange(10 ** draw.randint(1, 4))
        form = draw.choice(NUMERALS)[language]
        return capital(form.format(n=number, w=words(number)[language]))
    a, b = sorted(draw.sample(range(draw.choice((20, 100, 1000))), 2))
    form = draw.choice(COMPARISONS)[language]
    return capital(form.format(a=words(a)[language], b=words(b)[language]))


def line(
    draw: random.Random, operation: str, pair: tuple[int, int], *, kind: str, language: int
) -> str:
    """One sum, told in the way of its document; a plural needs at least two."""
    if kind == "digits":
        return f"{pair[0]} {OPERATIONS[operation][0]} {pair[1]} = {result(operation, *pair)}"
    if kind == "quiz":
        prompt, answer = ask(operation, pair, language)
        return prompt + ANSWER[language].format(a=answer)
    if kind == "problems" and min(pair) > 1:
        return problem(draw, operation, pair, language=language)
    return capital(draw.choice(SENTENCES)[language].format(**spoken(operation, pair, language)))


def compose(draw: random.Random, language: int, *, seed: int) -> str:
    """One document: sentences, problems, digits, questions, or remarks about numbers."""
    kind = draw.choice(("sentences", "problems", "digits", "quiz", "quiz", "numbers"))
    count = draw.randint(4, 10)
    if kind == "numbers":
        return SPACE[language].join(number_remark(draw, language) for _ in range(count))
    operation = draw.choice(list(OPERATIONS))
    pairs = draw.sample(operands(operation, seed=seed)[0], count)
    lines = [line(draw, operation, pair, kind=kind, language=language) for pair in pairs]
    if kind == "digits":
        lines = [HEADING[language], *lines]
    return (SPACE[language] if kind == "sentences" else "\n").join(lines)
