"""Documents in which English and Chinese say the same, sentence beside sentence."""

import random

from aquila_jax.dmu import sample_stories
from aquila_jax.dmu.sample_articles import BY_RELATION, EN, ZH, held_out_wording, state
from aquila_jax.dmu.sample_articles import ask as ask_fact
from aquila_jax.dmu.sample_wordings import QUESTIONS, STATEMENTS

FORMS = ("{en}\n{zh}", "{zh}\n{en}", "English: {en}\n中文：{zh}", "中文：{zh}\nEnglish: {en}")
NAMED = [relation for relation in STATEMENTS if relation != "translation"]


def sentences(draw: random.Random) -> list[tuple[str, str]]:
    """Facts in both languages by the same wording."""
    pairs = []
    for _ in range(draw.randint(2, 5)):
        fact = draw.choice(BY_RELATION[draw.choice(NAMED)])
        wording = draw.choice(STATEMENTS[fact.relation])
        pairs.append((state(fact, wording, EN), state(fact, wording, ZH)))
    return pairs


def glossary(draw: random.Random) -> list[tuple[str, str]]:
    """Subjects and values as words of a dictionary."""
    facts = [draw.choice(BY_RELATION[draw.choice(NAMED)]) for _ in range(draw.randint(4, 9))]
    return [draw.choice((fact.subject, fact.value)) for fact in facts]


def translations(draw: random.Random, *, seed: int) -> str:
    """Words explained and asked for in the other language."""
    lines = []
    for fact in draw.sample(BY_RELATION["translation"], draw.randint(2, 5)):
        language = draw.choice((EN, ZH))
        wording = draw.randrange(len(QUESTIONS["translation"]))
        if wording == held_out_wording(fact, seed=seed):
            lines.append(state(fact, draw.choice(STATEMENTS["translation"]), language))
        else:
            lines.append((" " if language == EN else "").join(ask_fact(fact, wording, language)))
    return "\n".join(lines)


def compose(draw: random.Random, *, seed: int) -> str:
    """One document: facts, a story, a glossary or translations."""
    kind = draw.choices(("facts", "story", "glossary", "translations"), (5, 3, 2, 2))[0]
    if kind == "translations":
        return translations(draw, seed=seed)
    write = {"facts": sentences, "story": sample_stories.compose, "glossary": glossary}[kind]
    form = draw.choice(FORMS) if kind != "glossary" else draw.choice(("{en}: {zh}", "{zh} - {en}"))
    return "\n".join(form.format(en=en, zh=zh) for en, zh in write(draw))
