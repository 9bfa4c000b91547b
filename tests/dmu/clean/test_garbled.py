import gzip
import json
import random

import pytest

from aquila_jax.dmu.clean import garbled
from aquila_jax.dmu.clean.settings import Garbled

LIMITS = Garbled()
RANDOM = random.Random(0)
LANGUAGES = {"en_books": "en", "en_docs": "en", "zh_modern": "zh", "zh_law": "zh"}


def known(_text):
    return 0.0, 1000


@pytest.fixture(scope="module")
def texts(corpus):
    found = {}
    for domain, language in LANGUAGES.items():
        with gzip.open(corpus / domain / "train-00000.jsonl.gz", "rt") as lines:
            some = [json.loads(next(lines))["text"][:3000] for _ in range(40)]
        found.setdefault(language, []).extend(text for text in some if len(text) > 300)
    return found


def misread(text, written, read):
    return text.encode(written, "replace").decode(read, "replace")


def mashed(text, keys="asdfghjkl;qwertyuiopzxcvbnm,."):
    return "".join(c if c.isspace() else RANDOM.choice(keys) for c in text)


def random_han(text):
    return "".join(chr(RANDOM.randint(0x4E00, 0x9FA5)) if c > "\u4dff" else c for c in text)


def shuffled(text):
    return "".join(RANDOM.sample(text, len(text)))


def half(change):
    return lambda text: text[: len(text) // 2] + change(text[len(text) // 2 :])


DAMAGE = {
    "zh utf-8 as latin-1": ("zh", lambda t: misread(t, "utf-8", "latin-1")),
    "zh utf-8 as cp1252": ("zh", lambda t: misread(t, "utf-8", "cp1252")),
    "zh utf-8 as gbk": ("zh", lambda t: misread(t, "utf-8", "gbk")),
    "zh utf-8 as big5": ("zh", lambda t: misread(t, "utf-8", "big5")),
    "zh gbk as utf-8": ("zh", lambda t: misread(t, "gbk", "utf-8")),
    "zh gbk as latin-1": ("zh", lambda t: misread(t, "gbk", "latin-1")),
    "zh gbk as big5": ("zh", lambda t: misread(t, "gbk", "big5")),
    "zh utf-16 bytes swapped": ("zh", lambda t: misread(t, "utf-16-le", "utf-16-be")),
    "zh lost to question marks": ("zh", lambda t: misread(t, "ascii", "ascii")),
    "zh random characters": ("zh", random_han),
    "zh shuffled": ("zh", shuffled),
    "zh mashed": ("zh", mashed),
    "zh half mashed": ("zh", half(mashed)),
    "zh half mashed with digits": (
        "zh",
        half(lambda t: mashed(t, "asdfghjklqwertyuiop1234567890,./")),
    ),
    "zh half utf-8 as gbk": ("zh", half(lambda t: misread(t, "utf-8", "gbk"))),
    "en utf-16 as latin-1": ("en", lambda t: misread(t, "utf-16-le", "latin-1")),
    "en utf-16 as gbk": ("en", lambda t: misread(t, "utf-16-le", "gbk")),
    "en ebcdic": ("en", lambda t: misread(t, "utf-8", "cp037")),
    "en mashed": ("en", mashed),
    "en shuffled": ("en", shuffled),
    "en half mashed": ("en", half(mashed)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_seen(damage, texts):
    language, change = DAMAGE[damage]
    damaged = [change(text) for text in texts[language]]
    seen = [garbled.verdict(text, language, LIMITS, known) is not None for text in damaged]
    assert sum(seen) >= 0.95 * len(seen)


def test_sound_text_is_left_alone(texts):
    for language, some in texts.items():
        seen = [garbled.verdict(text, language, LIMITS, known) for text in some]
        assert sum(found is not None for found in seen) <= 0.02 * len(seen), seen


def test_curly_quotes_read_as_latin_1():
    text = "“It’s late,” she said — and it was. " * 5
    assert garbled.verdict(text, "en", LIMITS, known) is None
    for codec in ("latin-1", "cp1252", "gbk"):
        bad = text.encode().decode(codec, "replace")
        assert garbled.verdict(bad, "en", LIMITS, known)[0].startswith("garbled_")


@pytest.mark.parametrize(
    "text",
    [
        "Café Zürich, naïve façade, El Niño, Øre, straße. " * 10,
        "Ελληνικά και αγγλικά μαζί. " * 10,
        "x = 3; y = [1, 2, 3]; f(x, y) -> z ** 2 " * 10,
        "短",
        "",
    ],
)
def test_rare_but_sound(text):
    assert garbled.verdict(text or " ", "code", LIMITS, known) is None


def test_typing_errors_need_new_words_and_odd_spelling(texts):
    near = {"a": "s", "e": "r", "i": "o", "o": "p", "t": "y", "n": "m", "s": "d", "h": "j"}
    for text in texts["en"][:10]:
        typed = "".join(near.get(c, c) if RANDOM.random() < 0.25 else c for c in text)
        assert garbled.verdict(typed, "en", LIMITS, lambda _: (0.5, 300)) is not None
        assert garbled.verdict(text, "en", LIMITS, lambda _: (0.5, 300)) is None
        assert garbled.typing_errors(typed, LIMITS, lambda _: (0.01, 300)) is None


@pytest.mark.parametrize(
    ("share", "words", "found"),
    [(0.55, 36, True), (0.3, 20, False), (0.21, 215, False), (1.0, 9, False)],
)
def test_so_few_words_must_be_new_beyond_chance(share, words, found):
    typed = "rhe qyick briwn fox jimps ovrr teh lazt dig amd rhen slerps im tge warn sin"
    assert (garbled.typing_errors(typed, LIMITS, lambda _: (share, words)) is not None) == found


def test_stray_letters_are_a_matter_of_chinese_text():
    text = "我们a今天;一起d去看f山上的j花和树木还有河里的鱼虾和天上的云彩以及远处的人家。"
    assert garbled.verdict(text, "zh", LIMITS, known)[0] == "garbled_stray_letters"
    assert garbled.verdict(text, "en-zh", LIMITS, known) is None


def test_random_printable_characters(texts):
    def scattered(text):
        return "".join(chr(RANDOM.randint(33, 126)) if c > " " else c for c in text)

    damaged = [half(scattered)(text) for text in texts["en"]] + [scattered(t) for t in texts["en"]]
    seen = [garbled.verdict(text, "en", LIMITS, known) is not None for text in damaged]
    assert sum(seen) >= 0.95 * len(seen)
    assert garbled.scattered("f(x) = a b + c d; y = z w * q " * 20, LIMITS) is not None
    assert garbled.verdict("f(x) = a b + c d; y = z w * q " * 20, "code", LIMITS, known) is None
