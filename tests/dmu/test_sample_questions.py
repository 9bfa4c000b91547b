"""Questions that can be learned from the text and do not stand in it."""

import pytest

from aquila_jax.dmu import sample
from aquila_jax.dmu.sample_articles import ANSWER, BY_RELATION, EN, ZH, ask, held_out_wording, state
from aquila_jax.dmu.sample_numbers import OPERATIONS
from aquila_jax.dmu.sample_questions import TASKS
from aquila_jax.dmu.sample_questions import questions as make_questions
from aquila_jax.dmu.sample_wordings import QUESTIONS, STATEMENTS

SEED = 3


@pytest.fixture(scope="module")
def questions():
    return make_questions(SEED)


@pytest.fixture(scope="module")
def text():
    """Training and held-out text of all domains together, 4 MB."""
    rows = (
        row
        for domain in sample.DOMAINS
        for row in sample.documents(domain, seed=SEED, size=domain.share * 4e6)
    )
    return "\n\n".join(row["text"] for row in rows)


def test_questions_are_well_formed_and_balanced(questions):
    assert 400 <= len(questions) <= 600
    assert len({row["id"] for row in questions}) == len(questions)
    assert len({row["task"] for row in questions}) >= 12
    places = {}
    for row in questions:
        assert set(row) == {"id", "lang", "task", "context", "choices", "answer"}
        assert len(set(row["choices"])) == 4 and all(row["choices"])
        places.setdefault((row["task"], row["lang"]), []).append(row["answer"])
    assert {lang for _, lang in places} == {"en", "zh"}
    for answers in places.values():
        counts = [answers.count(place) for place in range(4)]
        assert max(counts) - min(counts) <= 1


def test_a_question_is_not_in_training_but_its_fact_is(questions, text):
    expected = {
        (task, *ask(fact, held_out_wording(fact, seed=SEED), language)): (fact, language)
        for task, relation, _ in TASKS
        for fact in BY_RELATION[relation]
        for language in (EN, ZH)
    }
    asked = [row for row in questions if row["task"] not in OPERATIONS]
    assert len(asked) == 2 * sum(count for *_, count in TASKS)
    assert not any(row["context"] in text for row in questions)
    for row in asked[::12]:  # to count in 4 MB is slow
        fact, language = expected[row["task"], row["context"], row["choices"][row["answer"]]]
        told = [state(fact, pair, language) for pair in STATEMENTS[fact.relation]]
        for wording in range(len(QUESTIONS[fact.relation])):
            prompt, answer = ask(fact, wording, language)
            told.append(prompt + ANSWER[language].format(a=answer))
        assert sum(text.count(text) for text in told) >= 5, fact


def test_wrong_choices_are_wrong(questions):
    languages = [row for row in questions if row["task"] == "languages"]
    for row in languages:
        wrong = [choice for i, choice in enumerate(row["choices"]) if i != row["answer"]]
        assert not {"English", "French", "英语", "法语"} & set(wrong)
