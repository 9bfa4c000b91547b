"""The generated corpus: equal bytes for equal seeds, true in every sentence that can be checked."""

import contextlib
import datetime
import io
import json
import re
import time

import pytest

from aquila_jax.dmu import sample
from aquila_jax.dmu.sample_articles import ANSWER, BY_RELATION, EN, ZH, ask, held_out_wording, state
from aquila_jax.dmu.sample_facts import FACTS
from aquila_jax.dmu.sample_numbers import OPERATIONS, chinese, english, operands, words
from aquila_jax.dmu.sample_questions import TASKS
from aquila_jax.dmu.sample_wordings import FOLLOWING, QUESTIONS, STATEMENTS

SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
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


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "corpus"
    started = time.process_time()
    counts = sample.write_sample(folder, seed=SEED)
    assert time.process_time() - started < 10
    assert counts["questions"] == len(rows(folder / "questions.jsonl"))
    return folder


@pytest.fixture(scope="module")
def documents(folder):
    """All documents by split and domain."""
    return {
        split: {
            domain.name: [row for path in sorted(paths) for row in rows(path)]
            for domain in sample.DOMAINS
            if (paths := list((folder / domain.name).glob(f"{split}*.jsonl")))
        }
        for split in ("train", "heldout")
    }


@pytest.fixture(scope="module")
def train_text(documents):
    return "\n\n".join(row["text"] for rows in documents["train"].values() for row in rows)


@pytest.fixture(scope="module")
def questions(folder):
    return rows(folder / "questions.jsonl")


def test_the_seed_decides_every_byte(tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        sample.write_sample(tmp_path / name, seed=seed, megabytes=0.2)
    one, two, three = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert all(one[path] != three[path] for path in set(one) & set(three))


def test_all_domains_are_there_and_sized(documents, folder):
    names = [domain.name for domain in sample.DOMAINS]
    assert list(documents["train"]) == list(documents["heldout"]) == names
    assert {domain.language for domain in sample.DOMAINS} == {"en", "zh", "code", "en-zh"}
    size = sum(len(data) for path, data in files(folder).items() if path != "questions.jsonl")
    assert 4e6 < size < 8e6
    for domain in sample.DOMAINS:
        train, held_out = documents["train"][domain.name], documents["heldout"][domain.name]
        assert len(held_out) == (len(train) + len(held_out)) // sample.HELD_OUT_EVERY >= 20
        assert all(row["lang"] == domain.language for row in train + held_out)
        assert all(set(row) == {"text", "id", "lang"} for row in train + held_out)


def test_nothing_stands_twice(documents):
    everything = [row for split in documents.values() for rows in split.values() for row in rows]
    assert len({row["id"] for row in everything}) == len(everything)
    assert len({row["text"] for row in everything}) == len(everything)


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


def test_a_question_is_not_in_training_but_its_fact_is(questions, train_text):
    expected = {
        (task, *ask(fact, held_out_wording(fact, seed=SEED), language)): (fact, language)
        for task, relation, _ in TASKS
        for fact in BY_RELATION[relation]
        for language in (EN, ZH)
    }
    asked = [row for row in questions if row["task"] not in OPERATIONS]
    assert len(asked) == 2 * sum(count for *_, count in TASKS)
    assert not any(row["context"] in train_text for row in asked)
    for row in asked[::12]:  # to count in 4 MB is slow
        fact, language = expected[row["task"], row["context"], row["choices"][row["answer"]]]
        told = [state(fact, pair, language) for pair in STATEMENTS[fact.relation]]
        for wording in range(len(QUESTIONS[fact.relation])):
            prompt, answer = ask(fact, wording, language)
            told.append(prompt + ANSWER[language].format(a=answer))
        assert sum(train_text.count(text) for text in told) >= 10, fact


def test_sums_that_are_asked_are_right_and_not_in_training(questions, train_text):
    asked = [row for row in questions if row["task"] in OPERATIONS]
    assert len(asked) > 60
    for row in asked:
        assert row["context"] not in train_text
        space = " " if row["lang"] == "en" else ""
        sums = list(read_sums(f"{row['context']}{space}{row['choices'][row['answer']]}"))
        assert len(sums) == 1 and is_right(*sums[0])


def test_wrong_choices_are_wrong(questions):
    languages = [row for row in questions if row["task"] == "languages"]
    for row in languages:
        wrong = [choice for i, choice in enumerate(row["choices"]) if i != row["answer"]]
        assert not {"English", "French", "英语", "法语"} & set(wrong)


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


def test_sums_are_right(train_text):
    told = list(read_sums(train_text))
    assert len(told) > 5000 and all(is_right(*sum_) for sum_ in told)
    names = {value[0]: operation for operation, value in OPERATIONS.items()}
    held_out = {operation: set(operands(operation, seed=SEED)[1]) for operation in OPERATIONS}
    assert all(len(pairs) >= 4 for pairs in held_out.values())
    assert not any((a, b) in held_out[names[sign]] for a, sign, b, _ in told)


def test_numerals_are_right(train_text):
    told = re.findall(r"The number (\d+) is written ([a-z -]+)\.", train_text)
    assert len(told) > 100 and all(read_english(text) == int(n) for n, text in told)
    told = re.findall(r"数字(\d+)写作([零一二三四五六七八九十百千]+)。", train_text)
    assert len(told) > 100 and all(read_chinese(text) == int(n) for n, text in told)


def test_weekdays_are_those_of_the_calendar(train_text):
    told = [
        (datetime.date(int(year), MONTHS.index(month) + 1, int(day)), DAYS.index(name))
        for month, day, year, name in re.findall(
            r"([A-Z][a-z]+) (\d+), (\d{4})(?: was a|, a) ([A-Z][a-z]+day)", train_text
        )
    ]
    told += [
        (datetime.date(int(year), int(month), int(day)), "一二三四五六日".index(name))
        for year, month, day, name in re.findall(
            r"(\d+)年(\d+)月(\d+)日(?:是|，)星期(.)", train_text
        )
    ]
    assert len(told) > 500
    assert all(date.weekday() == day for date, day in told)
    ahead = re.findall(
        r"\b([a-z]+) days after ([A-Z][a-z]+) (?:is|it will be) ([A-Z][a-z]+)", train_text
    )
    assert len(ahead) > 100
    assert all(
        DAYS[(DAYS.index(start) + read_english(count)) % 7] == end for count, start, end in ahead
    )


def test_programs_print_what_is_written(documents):
    for row in documents["train"]["code"]:
        code, _, output = re.split(r"\n(# Output:|# prints)\n", row["text"].replace("\n\n#", "\n#"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, {})
        assert printed.getvalue() == output.replace("# ", "") + "\n", row["text"]


def test_elements_stand_in_the_periodic_table():
    symbols = {fact.subject: fact.value[0] for fact in FACTS if fact.relation == "symbol"}
    numbers = {fact.subject: fact.value[0] for fact in FACTS if fact.relation == "number"}
    assert symbols.keys() == numbers.keys() and len(symbols) > 30
    assert all(SYMBOLS[int(numbers[name]) - 1] == symbols[name] for name in symbols)
    chinese_names = [name[1] for name in symbols]
    assert all(len(name) == 1 for name in chinese_names)


@pytest.mark.parametrize(
    ("relation", "subject", "value"),
    [
        ("capital", ("Australia", "澳大利亚"), ("Canberra", "堪培拉")),
        ("capital", ("Nigeria", "尼日利亚"), ("Abuja", "阿布贾")),
        ("capital", ("Myanmar", "缅甸"), ("Naypyidaw", "内比都")),
        ("language", ("Brazil", "巴西"), ("Portuguese", "葡萄牙语")),
        ("currency", ("Thailand", "泰国"), ("baht", "泰铢")),
        ("continent", ("Kenya", "肯尼亚"), ("Africa", "非洲")),
        ("unit", ("one mile", "一英里"), ("1760 yards", "1760码")),
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


def test_aligned_sentences_name_the_same_countries(documents):
    names = {fact.subject for fact in FACTS if fact.relation == "capital"}
    checked = 0
    for row in documents["train"]["parallel"]:
        lines = row["text"].split("\n")
        if "Question" in row["text"] or "问题" in row["text"] or len(lines) % 2:
            continue
        for first, second in zip(lines[::2], lines[1::2], strict=True):
            en, zh = sorted((first, second), key=lambda line: bool(re.search("[一-鿿]{2}", line)))
            for name, name_zh in names:
                if f" {name} " in en and en.endswith("."):
                    assert name_zh in zh, row["text"]
                    checked += 1
    assert checked > 200


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    (tmp_path / "corpus").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        sample.write_sample(tmp_path / "corpus")
    assert not list((tmp_path / "corpus").iterdir())


def test_what_an_interrupted_run_left_is_swept_away(tmp_path):
    (tmp_path / ".corpus.partial" / "en_facts").mkdir(parents=True)
    (tmp_path / ".corpus.partial" / "rest").write_text("half")
    sample.write_sample(tmp_path / "corpus", megabytes=0.05)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]
    assert not (tmp_path / "corpus" / "rest").exists()


def test_more_text_than_there_can_be_is_an_error():
    domain = sample.Domain("dull", "en", 1.0, lambda draw, seed: str(draw.randrange(10)))
    with pytest.raises(ValueError, match="domain dull has no more than about 10 bytes"):
        list(sample.documents(domain, seed=0, size=1000))
