"""Planted trouble: documents damaged on purpose, each with the kind of damage in its id."""

import gzip
import json
import pathlib
import random
import re
from collections.abc import Iterator

from aquila_jax.dmu.clean import leaks, privacy
from aquila_jax.dmu.clean.documents import Document

LANGUAGES = {
    "en_books": "en",
    "en_docs": "en",
    "en_textbooks": "en",
    "zh_classics": "zh",
    "zh_docs": "zh",
    "zh_law": "zh",
    "zh_modern": "zh",
    "code": "code",
    "math": "math",
    "parallel": "en-zh",
}
ENCODINGS = {
    "zh": (
        ("utf-8", "latin-1"),
        ("utf-8", "cp1252"),
        ("utf-8", "gbk"),
        ("utf-8", "big5"),
        ("utf-8", "cp1251"),
        ("gbk", "latin-1"),
        ("gbk", "utf-8"),
        ("gbk", "big5"),
        ("gb18030", "shift_jis"),
        ("big5", "gbk"),
        ("utf-16-le", "utf-16-be"),
        ("ascii", "ascii"),
    ),
    "en": (
        ("utf-16-le", "latin-1"),
        ("utf-16-le", "gbk"),
        ("utf-16-le", "utf-16-be"),
        ("utf-8", "cp037"),
        ("cp500", "latin-1"),
    ),
}
NEAR = {}
for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm"):
    for place, key in enumerate(row):
        NEAR[key] = row[max(0, place - 1) : place] + row[place + 1 : place + 2]
PIECE = 2000  # characters
FIRST, LAST = 0x4E00, 0x9FA5


def read(corpus: pathlib.Path, pattern: str, most: int) -> Iterator[Document]:
    """Sound documents, the first `most` characters of each domain's files of this pattern.

    Chapters and long pages come in pieces of about 2000 characters, as the web has them.
    """
    for domain, language in LANGUAGES.items():
        size = 0
        for file in sorted((corpus / domain).glob(pattern)):
            for line in gzip.open(file, "rt", encoding="utf-8"):
                record = json.loads(line)
                for at, text in enumerate(_pieces(record["text"]) if size < most else ()):
                    size += len(text)
                    yield Document(
                        text=text,
                        id=f"sound|{record['id']}#{at}",
                        language=language,
                        source=record["source"],
                        place=f"{file.name}:1",
                        domain=domain,
                    )


def _pieces(text: str) -> Iterator[str]:
    piece = ""
    for paragraph in text.splitlines(keepends=True):
        piece += paragraph
        if len(piece) >= PIECE:
            yield piece
            piece = ""
    if piece.strip():
        yield piece


def shingles(text: str, language: str) -> set[tuple[str, ...]]:
    """5-grams of words, or of characters for Chinese, in plain Python: the study's own measure."""
    parts = re.findall(r"\w", text) if language == "zh" else re.findall(r"\w+", text.lower())
    return set(zip(*(parts[at:] for at in range(5)), strict=False))


def similarity(left: str, right: str, language: str) -> float:
    """Jaccard similarity of two texts."""
    a, b = shingles(left, language), shingles(right, language)
    return len(a & b) / max(1, len(a | b))


def edited(text: str, language: str, wanted: float, rng: random.Random) -> str:
    """Words or characters exchanged, left out or doubled, until the similarity is just above `wanted`.

    n edits of N words break 5n of the 5-grams: J = (1 - 5n/N) / (1 + 5n/N).
    """
    parts = list(text) if language == "zh" else re.split(r"(?<=\s)", text)
    step = max(1, len(parts) // 400)
    expected = (1 - wanted) / (1 + wanted) * len(parts) / 5
    best, edits = text, max(1, round(0.8 * expected))
    while True:
        for _ in range(edits):
            place = rng.randrange(len(parts))
            other = parts[rng.randrange(len(parts))]
            parts[place] = rng.choice((other, "", parts[place] + other))
        made = "".join(parts)
        if similarity(text, made, language) < wanted:
            return best
        best, edits = made, step


def misread(text: str, language: str, rng: random.Random) -> str:
    """Written in one encoding and read in another."""
    written, read_as = rng.choice(ENCODINGS[language])
    return text.encode(written, "replace").decode(read_as, "replace")


def mashed(text: str, rng: random.Random) -> str:
    """Keys hit at random, as many as the text has characters."""
    keys = rng.choice(("asdfghjkl;", "qwertyuiop[]", "asdfghjklqwertyuiopzxcvbnm,./1234567890"))
    made = (rng.choice(keys) if rng.random() < 0.85 else " " for _ in text)
    return "".join(made)


def mistyped(text: str, share: float, rng: random.Random) -> str:
    """Each letter with this probability its neighbour on the keyboard."""
    made = (
        rng.choice(NEAR[c.lower()]) if c.lower() in NEAR and rng.random() < share else c
        for c in text
    )
    return "".join(made)


def strewn(text: str, share: float, rng: random.Random) -> str:
    """Each character with this probability a key hit by chance."""
    keys = "abcdefghijklmnopqrstuvwxyz;,."
    return "".join(rng.choice(keys) if rng.random() < share else c for c in text)


def random_characters(text: str, language: str, rng: random.Random) -> str:
    """Printable or Han characters at random."""
    low, high = (FIRST, LAST) if language == "zh" else (33, 126)
    return "".join(c if c.isspace() else chr(rng.randint(low, high)) for c in text)


def noisy(text: str, language: str, rng: random.Random) -> tuple[str, str]:
    """One of the kinds of garbling, over all of the text or from some place on; and its name."""
    kinds = {
        "encoding": lambda t: misread(t, language, rng),
        "keyboard": lambda t: mashed(t, rng),
        "random": lambda t: random_characters(t, language, rng),
        "typing": lambda t: (
            mistyped(t, rng.uniform(0.1, 0.3), rng)
            if language == "en"
            else strewn(t, rng.uniform(0.1, 0.3), rng)
        ),
    }
    kind = rng.choice(list(kinds))
    start = rng.choice((0, 0, len(text) // 2)) if kind != "typing" else 0
    return text[:start] + kinds[kind](text[start:]), kind + ("_half" if start else "")


def planted_item(text: str, item: dict, rng: random.Random) -> str:
    """An evaluation item between two paragraphs or sentences: its question, or with the answer."""
    question = leaks.LABEL.sub(" ", str(item.get("context") or item.get("question") or "")).strip()
    choices = item.get("choices") or [""]
    answer = choices[item["answer"]] if item.get("choices") else str(item.get("solution", ""))
    whole = f"{question} {answer}".strip() if rng.random() < 0.5 or not question else question
    places = [match.end() for match in re.finditer(r"[.。!?！？\n]", text)] or [len(text)]
    place = rng.choice(places)
    return f"{text[:place]} {whole} {text[place:]}"


def _digits(count: int, rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _identity(rng: random.Random) -> str:
    born = f"{rng.randint(1950, 2005)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    body = f"{rng.choice(('110105', '310104', '440305'))}{born}{_digits(3, rng)}"
    return next(body + check for check in "0123456789X" if privacy.is_identity(body + check))


def _card(rng: random.Random) -> str:
    body = rng.choice(("4", "51", "6222")) + _digits(11, rng)
    body = (body + _digits(4, rng))[:15]
    card = next(body + check for check in "0123456789" if privacy.is_card(body + check))
    return rng.choice((card, " ".join(card[at : at + 4] for at in range(0, 16, 4))))


def personal(language: str, rng: random.Random) -> dict[str, str]:
    """One made-up item of each kind of personal data."""
    name = "".join(rng.choice("abcdefgh") for _ in range(6))
    phones = {
        "zh": (f"1{rng.choice('35789')}{_digits(9, rng)}", f"+86 138-{_digits(4, rng)}-{_digits(4, rng)}", f"010-6{_digits(7, rng)}"),
        "en": (f"(415) 5{_digits(2, rng)}-{_digits(4, rng)}", f"+44 20 7946 {_digits(4, rng)}", f"212-5{_digits(2, rng)}-{_digits(4, rng)}"),
    }  # fmt: skip
    return {
        "email": f"{name}.{_digits(2, rng)}@{rng.choice(('qq.com', 'mail.example.net'))}",
        "phone": rng.choice(phones[language]),
        "identity": _identity(rng),
        "card": _card(rng),
        "address": f"{rng.choice((8, 61, 101, 203))}.{rng.randint(1, 254)}.{rng.randint(1, 254)}.{rng.randint(1, 254)}",
    }
