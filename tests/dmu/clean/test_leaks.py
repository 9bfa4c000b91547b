import json

import pytest

from aquila_jax.dmu.clean import leaks
from aquila_jax.dmu.clean.settings import Leaks

LIMITS = Leaks()
LONG = (
    "Janet's ducks lay sixteen eggs per day. She eats three for breakfast every morning and bakes "
    "muffins for her friends every day with four. How much does she make at the market?"
)
ZH = "小明的爸爸比他大二十八岁，今年两人年龄之和是五十二岁，请问小明今年几岁？"
ITEMS = (
    ("gsm/0", {"question": LONG, "answer": "18"}),
    ("zh/0", {"question": ZH, "answer": "12"}),
    ("blimp/0", {"context": "", "choices": ["Who was Jill complaining about without describing"]}),
    ("mc/0", {"context": "Question: What do people aim to do at work?\nAnswer:",
              "choices": ["complete job", "learn"], "answer": 0}),
    ("mc/1", {"context": "Question: Which of the following statements is true?\nAnswer:",
              "choices": ["The moon is made of ordinary grey rock", "No"], "answer": 0}),
    ("mc/2", {"context": "Question: Which of the following statements is true?\nAnswer:",
              "choices": ["Whales are large mammals of the sea", "No"], "answer": 0}),
    ("tiny/0", {"context": "Question: ice\nAnswer:", "choices": ["cold", "warm"], "answer": 0}),
    ("blimp/1", {"context": "", "choices": ["Omar hated themselves.", "Omar hated himself."],
                 "answer": 1}),
    ("sum/1", {"context": "Question: Calculate $836 \\times 45$.\nAnswer:",
               "choices": ["$37620$", "$37520$"], "answer": 0}),
    ("sum/0", {"question": "1+2+3+4+5+6+7+8+9+10+11+12+13+14+15"}),
)  # fmt: skip
INDEX = leaks.build([(item, leaks.texts(record)) for item, record in ITEMS], LIMITS)
FILL = "It was a quiet morning and nothing much happened in the village by the river. "


def found(text):
    return [hit.item for hit in leaks.find(INDEX, text, LIMITS)]


@pytest.mark.parametrize(
    "planted, item",
    [
        (LONG, "gsm/0"),
        (LONG.upper().replace(". ", "\n"), "gsm/0"),
        (LONG[: int(len(LONG) * 0.85)], "gsm/0"),
        (ZH, "zh/0"),
        (ZH.replace("，", " ").replace("？", "?"), "zh/0"),
        ("Who was Jill complaining about, without describing", "blimp/0"),
        ("What do people aim to do at work?", "mc/0"),
        (
            "Which of the following statements is true? The moon is made of ordinary grey rock.",
            "mc/1",
        ),
    ],
)
def test_items_inside_documents_are_found(planted, item):
    assert found(FILL * 5 + planted + " " + FILL * 5) == [item]
    assert found("从前有一座山，山上有一座庙。" * 3 + planted + "山下有河。") == [item]


@pytest.mark.parametrize(
    "text",
    [
        FILL * 10,
        "Which of the following statements is true? Nobody knows.",  # of two items: nobody's
        "There is an ice box in the kitchen.",
        "1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15 = 120",
        LONG[:70],  # a small part is no leak
        LONG.replace("three", "two").replace("every", "each").replace("with", "using"),
        "",
    ],
)
def test_ordinary_text_is_not(text):
    assert found(text) == []


@pytest.mark.parametrize(
    "text, item",
    [
        ("She left. Omar hated  himself! Nobody knew why.", "blimp/1"),
        ("Omar hated himself", "blimp/1"),
        ("A list:\nomar hated himself\nand more", "blimp/1"),
        ("Exercise 7. Calculate $836 \\times 45$. Then rest.", "sum/1"),
        ("They say that Omar hated himself.", None),
        ("Omar hated himself for what he had done.", None),
    ],
)
def test_an_item_of_few_words_counts_as_a_sentence_of_its_own(text, item):
    assert found(text) == ([item] if item else [])


def test_what_cannot_be_searched_is_told():
    assert set(INDEX.unsearchable) == {"tiny/0", "sum/0"}


def test_the_excerpt_shows_the_place():
    (hit,) = leaks.find(INDEX, FILL + LONG, LIMITS)
    assert hit.excerpt.startswith("janet's ducks lay sixteen")


def test_no_items_no_hits():
    assert leaks.find(leaks.build([], LIMITS), LONG, LIMITS) == []


def test_files(tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text(json.dumps({"id": "a", "question": LONG}) + "\n[1]\n")
    with pytest.raises(ValueError, match=r"set.jsonl:2 is no evaluation item"):
        list(leaks.read_items([str(file)]))
    file.write_bytes(json.dumps({"question": "señor"}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(ValueError, match=r"set.jsonl:1 is no evaluation item"):
        list(leaks.read_items([str(file)]))
    with pytest.raises(ValueError, match="gone.jsonl does not exist"):
        list(leaks.read_items([str(tmp_path / "gone.jsonl")]))


def test_items_of_two_files_are_told_apart(tmp_path):
    for name, text in (("gsm", LONG), ("zh", f"{ZH}\u2028")):
        record = {"id": 0, "question": text}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record, ensure_ascii=False) + "\n")
    files = [str(tmp_path / name) for name in ("gsm.jsonl", "zh.jsonl")]
    index = leaks.build(leaks.read_items(files), LIMITS)
    assert [hit.item for hit in leaks.find(index, LONG + ZH, LIMITS)] == ["gsm:0", "zh:0"]
