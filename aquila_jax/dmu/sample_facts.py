"""Every true fact of the sample corpus as a value: relation, subject and value, in both languages."""

import calendar
import datetime
from typing import NamedTuple

from aquila_jax.dmu.sample_tables import (
    ANIMALS,
    CONTINENTS,
    COUNTRIES,
    COUNTS,
    ELEMENTS,
    EVENTS,
    GASES,
    LIQUIDS,
    MONTHS,
    OPPOSITES,
    UNITS,
    WEEKDAYS,
    WORDS,
)

Pair = tuple[str, str]  # English, Chinese


class Fact(NamedTuple):
    """What the `relation` of `subject` is: the capital of France is Paris."""

    relation: str
    subject: Pair
    value: Pair


def rows(table: str, *, separator: str = "  ") -> list[list[str]]:
    """The cells of a table; rows stand on lines of their own or are parted by `separator`."""
    cells = table.strip().replace("\n", separator).split(separator)
    return [row.split("|") for row in cells if row]


def country_facts() -> list[Fact]:
    """Capital, continent, main language and currency of each country."""
    facts = []
    for en, zh, *rest in rows(COUNTRIES):
        capital, capital_zh, continent, language, language_zh, currency, currency_zh = rest
        values = {
            "capital": (capital, capital_zh),
            "continent": (continent, CONTINENTS[continent]),
            "language": (language, language_zh),
            "currency": (currency, currency_zh),
        }
        facts += [Fact(relation, (en, zh), value) for relation, value in values.items()]
    return facts


def element_facts() -> list[Fact]:
    """Symbol, atomic number and state at room temperature of each element."""
    facts = []
    for number, symbol, *name in rows(ELEMENTS):
        state = ("gas", "气体") if symbol in GASES else ("solid", "固体")
        state = ("liquid", "液体") if symbol in LIQUIDS else state
        values = {"symbol": (symbol, symbol), "number": (number, number), "state": state}
        facts += [Fact(relation, tuple(name), value) for relation, value in values.items()]
    return facts


def calendar_facts() -> list[Fact]:
    """The month after each month, its days, and weekdays up to five days ahead."""
    facts = []
    for i, month in enumerate(MONTHS):
        facts.append(Fact("next_month", month, MONTHS[(i + 1) % 12]))
        if month[0] != "February":  # which has two lengths
            days = str(calendar.monthrange(2025, i + 1)[1])
            facts.append(Fact("month_days", month, (days, days)))
    for i, (en, zh) in enumerate(WEEKDAYS):
        for days, (count, count_zh) in enumerate(COUNTS, start=1):
            subject = (f"{count} after {en}", f"{zh}的{count_zh}后")
            facts.append(Fact("weekday", subject, WEEKDAYS[(i + days) % 7]))
    return facts


def unit_facts() -> list[Fact]:
    """How many of the smaller unit make one of the larger."""
    return [
        Fact("unit", (f"one {big}", f"一{big_zh}"), (f"{count} {small}", f"{count}{small_zh}"))
        for big, small, big_zh, small_zh, count in rows(UNITS)
    ]


def word_facts() -> list[Fact]:
    """Classes of animals, opposites (both ways), and what a word is in the other language."""
    facts, words = [], [(en, zh) for en, zh in rows(WORDS)]
    for en, zh, *members in rows(ANIMALS):
        animals = list(zip(members[::2], members[1::2], strict=True))
        facts += [Fact("class", animal, (en, zh)) for animal in animals]
        words += animals
    for cells in rows(OPPOSITES):
        for en, zh, en_other, zh_other in (cells, cells[2:] + cells[:2]):
            facts.append(Fact("opposite", (en, zh), (en_other, zh_other)))
    # The subject is told in one language and the value in the other, hence the swap.
    return facts + [Fact("translation", word, word[::-1]) for word in words]


def weekday(date: datetime.date) -> Pair:
    """The name of the day."""
    return WEEKDAYS[date.weekday()]


def dated(date: datetime.date) -> Pair:
    """The date written out: July 20, 1969."""
    month = MONTHS[date.month - 1][0]
    return f"{month} {date.day}, {date.year}", f"{date.year}年{date.month}月{date.day}日"


def event_facts() -> list[tuple[datetime.date, Pair]]:
    """Days of history and what happened on them."""
    return [(datetime.date.fromisoformat(day), (en, zh)) for day, en, zh in rows(EVENTS)]


FACTS = country_facts() + element_facts() + calendar_facts() + unit_facts() + word_facts()
