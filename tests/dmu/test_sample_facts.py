"""The tables against independent knowledge, and the sentences against the tables."""

import datetime
import re

import pytest

from aquila_jax.dmu import sample
from aquila_jax.dmu.sample_articles import EN, ZH
from aquila_jax.dmu.sample_facts import FACTS
from aquila_jax.dmu.sample_wordings import FOLLOWING, QUESTIONS, STATEMENTS

SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NUMBERS = "zero one two three four five".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
SEED = 3


def texts(name, size=5e5):
    (domain,) = [domain for domain in sample.DOMAINS if domain.name == name]
    return "\n\n".join(row["text"] for row in sample.documents(domain, seed=SEED, size=size))


def test_elements_stand_in_the_periodic_table():
    symbols = {fact.subject: fact.value[0] for fact in FACTS if fact.relation == "symbol"}
    numbers = {fact.subject: fact.value[0] for fact in FACTS if fact.relation == "number"}
    assert symbols.keys() == numbers.keys() and len(symbols) > 20
    assert all(SYMBOLS[int(numbers[name]) - 1] == symbols[name] for name in symbols)
    chinese_names = [name[1] for name in symbols]
    assert all(len(name) == 1 for name in chinese_names)


@pytest.mark.parametrize(
    ("relation", "subject", "value"),
    [
        ("capital", ("Australia", "澳大利亚"), ("Canberra", "堪培拉")),
        ("capital", ("Nigeria", "尼日利亚"), ("Abuja", "阿布贾")),
        ("capital", ("Vietnam", "越南"), ("Hanoi", "河内")),
        ("language", ("Brazil", "巴西"), ("Portuguese", "葡萄牙语")),
        ("currency", ("Thailand", "泰国"), ("baht", "泰铢")),
        ("continent", ("Kenya", "肯尼亚"), ("Africa", "非洲")),
        ("unit", ("one foot", "一英尺"), ("12 inches", "12英寸")),
        ("month_days", ("November", "十一月"), ("30", "30")),
        ("class", ("whale", "鲸"), ("mammal", "哺乳动物")),
        ("opposite", ("dry", "干"), ("wet", "湿")),
        ("translation", ("water", "水"), ("水", "water")),
        ("state", ("mercury", "汞"), ("liquid", "液体")),
    ],
)
def test_facts_are_true(relation, subject, value):
    assert [fact.value for fact in FACTS if fact[:2] == (relation, subject)] == [value]


def test_every_wording_says_subject_and_value_in_both_languages():
    for told in (*STATEMENTS.values(), *FOLLOWING.values(), *QUESTIONS.values()):
        for en, zh in told:
            assert sorted(re.findall(r"\{.\}", en)) == sorted(re.findall(r"\{.\}", zh))
            assert en.isascii() and zh[-1] in "。？"
    for told in STATEMENTS.values():
        assert all("{s}" in text and "{v}" in text for pair in told for text in pair)
    for relation, pairs in QUESTIONS.items():
        for language in (EN, ZH):
            assert len({pair[language] for pair in pairs}) == len(pairs), relation


def test_weekdays_are_those_of_the_calendar():
    text = texts("en_facts") + texts("zh_facts")
    told = [
        (datetime.date(int(year), MONTHS.index(month) + 1, int(day)), DAYS.index(name))
        for month, day, year, name in re.findall(
            r"([A-Z][a-z]+) (\d+), (\d{4})(?: was a|, a) ([A-Z][a-z]+day)", text
        )
    ]
    told += [
        (datetime.date(int(year), int(month), int(day)), "一二三四五六日".index(name))
        for year, month, day, name in re.findall(r"(\d+)年(\d+)月(\d+)日(?:是|，)星期(.)", text)
    ]
    assert len(told) > 200
    assert all(date.weekday() == day for date, day in told)
    ahead = [
        (NUMBERS.index(count), DAYS.index(start), DAYS.index(end))
        for count, start, end in re.findall(
            r"\b([a-z]+) days after ([A-Z][a-z]+) (?:is|it will be) ([A-Z][a-z]+)", text
        )
    ]
    ahead += [
        ("零一两三四五".index(count), "一二三四五六日".index(start), "一二三四五六日".index(end))
        for start, count, end in re.findall(
            "星期(.)的(.)天后(?:是|就到了)星期([一二三四五六日])", text
        )
    ]
    assert len(ahead) > 100
    assert all((start + count) % 7 == end for count, start, end in ahead)


def test_aligned_sentences_name_the_same_countries():
    names = {fact.subject for fact in FACTS if fact.relation == "capital"}
    checked = 0
    for document in texts("parallel", 4e5).split("\n\n"):
        lines = document.split("\n")
        if "Question" in document or "问题" in document or len(lines) % 2:
            continue
        for first, second in zip(lines[::2], lines[1::2], strict=True):
            en, zh = sorted((first, second), key=lambda line: bool(re.search("[一-鿿]{2}", line)))
            for name, name_zh in names:
                if f" {name} " in en and en.endswith("."):
                    assert name_zh in zh, document
                    checked += 1
    assert checked > 200
