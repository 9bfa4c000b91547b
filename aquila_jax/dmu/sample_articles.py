"""Short articles, lists and rounds of questions that tell the facts in one language."""

import datetime
import itertools
import random
import zlib

from aquila_jax.dmu.sample_facts import FACTS, Fact, dated, event_facts, weekday
from aquila_jax.dmu.sample_wordings import FOLLOWING, QUESTIONS, STATEMENTS, tell

EN, ZH = 0, 1  # place of a language in every pair
SPACE = (" ", "")  # between two sentences
QUESTION = ("Question: {q}\nAnswer:", "问题：{q}\n答案：")
ANSWER = (" {a}", "{a}")

SUBJECTS = [
    list(facts) for _, facts in itertools.groupby(FACTS, lambda fact: fact.subject) if facts
]
RICH_SUBJECTS = [facts for facts in SUBJECTS if facts[0].relation in FOLLOWING]
BY_RELATION = {
    relation: [fact for fact in FACTS if fact.relation == relation] for relation in STATEMENTS
}
RELATIONS = list(BY_RELATION)
SIZES = [len(facts) for facts in BY_RELATION.values()]  # so that all facts are told as often
HEADINGS = {
    "capital": ("Countries and their capitals", "国家和首都"),
    "continent": ("Countries and their continents", "国家和大洲"),
    "language": ("Countries and their languages", "国家和语言"),
    "currency": ("Countries and their money", "国家和货币"),
    "symbol": ("Elements and their symbols", "元素和符号"),
    "number": ("Elements and their atomic numbers", "元素和原子序数"),
    "class": ("Animals and their groups", "动物和类别"),
    "opposite": ("Words and their opposites", "词和反义词"),
    "unit": ("Units and what they equal", "单位换算"),
    "translation": ("English words in Chinese", "中文词的英文"),
}
EVENT = (
    ("On {date}, a {day}, {event}.", "{date}，{day}，{event}。"),
    ("{date} was a {day}. On that day {event}.", "{date}是{day}。这一天，{event}。"),
)
DATE = (
    ("{date} was a {day}.", "{date}是{day}。"),
    ("The calendar says that {date} was a {day}.", "日历上写着，{date}是{day}。"),
)


def held_out_wording(fact: Fact, *, seed: int) -> int:
    """Which wording of the question for this fact is never asked in training."""
    key = f"{seed}/{fact.relation}/{fact.subject[EN]}".encode()
    return zlib.crc32(key) % len(QUESTIONS[fact.relation])


def ask(fact: Fact, wording: int, language: int) -> tuple[str, str]:
    """The question as a prompt, and its answer."""
    question = tell(QUESTIONS[fact.relation][wording][language], fact.subject[language], "")
    return QUESTION[language].format(q=question), fact.value[language]


def state(fact: Fact, pair: tuple[str, str], language: int) -> str:
    """The fact as a sentence."""
    return tell(pair[language], fact.subject[language], fact.value[language])


def article(draw: random.Random, language: int) -> str:
    """All that is known of a country or an element, often with a word about another one."""
    parts = []
    for facts in draw.sample(RICH_SUBJECTS, draw.choice((1, 1, 2, 3))):
        facts = draw.sample(facts, len(facts))
        sentences = [state(facts[0], draw.choice(STATEMENTS[facts[0].relation]), language)]
        for fact in facts[1:]:
            templates = draw.choice((FOLLOWING, STATEMENTS))[fact.relation]
            sentences.append(state(fact, draw.choice(templates), language))
        parts.append(SPACE[language].join(sentences))
    return "\n".join(parts)


def listing(draw: random.Random, language: int) -> str:
    """A headed list of one relation."""
    relation = draw.choice(list(HEADINGS))
    facts = draw.sample(BY_RELATION[relation], draw.randint(4, 10))
    form = draw.choice(("- {}: {}", "{} = {}", "{} | {}", "{}: {}"))
    lines = [form.format(fact.subject[language], fact.value[language]) for fact in facts]
    return "\n".join([HEADINGS[relation][language], *lines])


def remarks(draw: random.Random, language: int) -> str:
    """Sentences about one relation, of several subjects."""
    relation = draw.choices(RELATIONS, SIZES)[0]
    facts = draw.sample(BY_RELATION[relation], draw.randint(3, 7))
    sentences = [state(fact, draw.choice(STATEMENTS[relation]), language) for fact in facts]
    return SPACE[language].join(sentences)


def quiz(draw: random.Random, language: int, *, seed: int) -> str:
    """Questions with their answers, in no wording that is held out."""
    rounds = []
    for _ in range(draw.randint(3, 7)):
        fact = draw.choice(FACTS)
        held_out = held_out_wording(fact, seed=seed)
        wordings = [i for i in range(len(QUESTIONS[fact.relation])) if i != held_out]
        prompt, answer = ask(fact, draw.choice(wordings), language)
        rounds.append(prompt + ANSWER[language].format(a=answer))
    return "\n".join(rounds)


def chronicle(draw: random.Random, language: int) -> str:
    """Days with the weekday that they were."""
    sentences = []
    for date, event in draw.sample(event_facts(), draw.randint(1, 3)):
        form = draw.choice(EVENT)[language]
        values = {"date": dated(date)[language], "day": weekday(date)[language]}
        sentences.append(form.format(event=event[language], **values))
    for _ in range(draw.randint(1, 3)):
        date = datetime.date(1900, 1, 1) + datetime.timedelta(days=draw.randrange(36_500))
        form = draw.choice(DATE)[language]
        sentences.append(form.format(date=dated(date)[language], day=weekday(date)[language]))
    return SPACE[language].join(sentences)


def compose(draw: random.Random, language: int, *, seed: int) -> str:
    """One document of a kind chosen at random."""
    kind = draw.choices(("article", "listing", "remarks", "quiz", "chronicle"), (4, 1, 3, 10, 1))[0]
    if kind == "quiz":
        return quiz(draw, language, seed=seed)
    return {
        "article": article, "listing": listing, "remarks": remarks, "chronicle": chronicle,
    }[kind](draw, language)  # fmt: skip
