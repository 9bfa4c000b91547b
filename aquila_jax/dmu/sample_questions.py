"""Multiple-choice questions on the sample's facts, in wordings that its training text does not hold."""

import random
from typing import Any

from aquila_jax.dmu import sample_sums
from aquila_jax.dmu.sample_articles import BY_RELATION, ask, held_out_wording
from aquila_jax.dmu.sample_facts import Fact
from aquila_jax.dmu.sample_numbers import OPERATIONS, operands, result, words

LANGUAGES = ("en", "zh")
# Task, relation and questions in each language.
TASKS = (
    ("capitals", "capital", 28), ("continents", "continent", 16), ("languages", "language", 16),
    ("currencies", "currency", 16), ("symbols", "symbol", 20), ("atomic_numbers", "number", 16),
    ("weekdays", "weekday", 20), ("months", "next_month", 12), ("units", "unit", 16),
    ("animals", "class", 16), ("opposites", "opposite", 20), ("translation", "translation", 24),
)  # fmt: skip
SUMS_PER_OPERATION = 16
# Languages that many people speak beside the main one: never a wrong choice beyond doubt.
ALSO_SPOKEN = {"English", "French", "Swedish", "Spanish", "英语", "法语", "瑞典语", "西班牙语"}
COUNTS = (3, 7, 10, 12, 24, 50, 60, 100, 360, 1000)  # for wrong units
NEAREST = 10  # wrong choices come from so many candidates nearest in length


def is_wrong(fact: Fact, value: str, language: int) -> bool:
    """Whether the value is beyond doubt no answer for the fact."""
    answer, subject = fact.value[language], fact.subject[language]
    if fact.relation == "currency" and value[:2] == answer[:2]:
        return False  # krona and krone are one word
    return value not in {answer, subject} | ALSO_SPOKEN


def wrong_values(fact: Fact, language: int) -> list[str]:
    """All values that are surely wrong for the fact, those nearest in length first."""
    answer = fact.value[language]
    if fact.relation == "unit":  # the same small unit, another count
        small = answer.lstrip("0123456789")
        values = [f"{count}{small}" for count in COUNTS]
    else:
        values = [other.value[language] for other in BY_RELATION[fact.relation]]
    values = [value for value in dict.fromkeys(values) if is_wrong(fact, value, language)]
    return sorted(values, key=lambda value: abs(len(value) - len(answer)))


def item(
    draw: random.Random,
    name: str,
    language: int,
    *,
    number: int,
    asked: tuple[str, str],
    wrong: list[str],
) -> dict[str, Any]:
    """One question; the answer stands at each place equally often."""
    context, answer = asked
    choices = draw.sample(wrong[:NEAREST], 3)
    choices.insert(number % 4, answer)
    return {
        "id": f"sample/{name}/{LANGUAGES[language]}/{number}",
        "lang": LANGUAGES[language],
        "task": name,
        "context": context,
        "choices": choices,
        "answer": number % 4,
    }


def fact_items(draw: random.Random, language: int, *, seed: int) -> list[dict[str, Any]]:
    """Questions on facts, each in the wording that is held out for it."""
    items = []
    for name, relation, count in TASKS:
        for number, fact in enumerate(draw.sample(BY_RELATION[relation], count)):
            asked = ask(fact, held_out_wording(fact, seed=seed), language)
            wrong = wrong_values(fact, language)
            items.append(item(draw, name, language, number=number, asked=asked, wrong=wrong))
    return items


def sum_items(draw: random.Random, language: int, *, seed: int) -> list[dict[str, Any]]:
    """Sums whose operands are held out."""
    items = []
    for operation in OPERATIONS:
        held_out = operands(operation, seed=seed)[1]
        chosen = draw.sample(held_out, min(SUMS_PER_OPERATION, len(held_out)))
        for number, pair in enumerate(chosen):
            asked, right = sample_sums.ask(operation, pair, language), result(operation, *pair)
            near = [n for n in range(max(right - 6, 0), right + 7) if n != right]
            draw.shuffle(near)
            wrong = [words(n)[language] for n in near]
            items.append(item(draw, operation, language, number=number, asked=asked, wrong=wrong))
    return items


def questions(seed: int) -> list[dict[str, Any]]:
    """All held-out questions of the sample made with `seed`."""
    draw = random.Random(f"{seed}/questions")
    return [
        question
        for language in range(len(LANGUAGES))
        for make in (fact_items, sum_items)
        for question in make(draw, language, seed=seed)
    ]
