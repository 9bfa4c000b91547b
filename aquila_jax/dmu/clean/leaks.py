"""Evaluation items inside training text, by n-grams of words and Han characters.

A document that holds an item is dropped whole: what stands around a leaked question (its answer,
its neighbours of the same test) is as suspect as the question.
"""

import dataclasses
import functools
import json
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from aquila_jax.dmu.clean import tokens
from aquila_jax.dmu.clean.settings import Leaks
from aquila_jax.dmu.places import lines

QUESTIONS = ("context", "question", "prompt", "problem", "query", "text")
ANSWERS = ("solution", "canonical_solution", "passage", "suffix")
LABEL = re.compile(r"^\s*(?:question|answer|题目|问题|答案)\s*[:：]", re.I | re.M)
FEW_WORDS = 3
BREAK = re.compile(r"""\n|[!?。;]|[.:]["'”’)]*\s""")  # ends a sentence or a line
EXCERPT = 160  # characters
BETWEEN = np.full(1, 0xFFFFFFFFFFFFFFFF, np.uint64)  # a token that no text has


@dataclasses.dataclass(frozen=True)
class Table:
    """n-grams of one length and whose they are, sorted by hash."""

    length: int
    grams: np.ndarray  # uint64 [G]
    probes: np.ndarray  # int64 [G] which text of which item
    offsets: np.ndarray  # int64 [G] token in that text
    known: np.ndarray  # bool [2^k] whether a hash begins with these k bits: few do


@dataclasses.dataclass(frozen=True)
class Index:
    """All evaluation items, ready to be looked for."""

    tables: tuple[Table, ...]
    items: tuple[str, ...]  # [probes] the item's id
    lengths: np.ndarray  # int64 [probes] tokens
    alone: np.ndarray  # bool [probes] counts only as a sentence or a line of its own
    unsearchable: tuple[str, ...]  # items too short to be told from ordinary text


@dataclasses.dataclass(frozen=True)
class Hit:
    """An evaluation item in a document."""

    item: str
    excerpt: str


def texts(record: dict[str, Any]) -> tuple[str, ...]:
    """What of an item must not be trained on: its question, with the right answer, its solution."""
    question = next((str(record[key]) for key in QUESTIONS if record.get(key)), "")
    question = LABEL.sub(" ", question).strip()
    choices, answer = record.get("choices"), record.get("answer")
    found = [question]
    if isinstance(choices, list) and not question:
        found += map(str, choices)
    elif isinstance(choices, list) and isinstance(answer, int):
        found.append(f"{question} {choices[answer]}")
    found += [record[key] for key in ANSWERS if isinstance(record.get(key), str)]
    return tuple(text for text in found if text)


def read_items(paths: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(SET:ID, texts) of each item of JSON Lines files; ValueError where a line is no item."""
    for path in paths:
        try:
            numbered = lines(path)
        except FileNotFoundError as error:
            raise ValueError(f"evaluation set {path} does not exist.") from error
        for number, line in numbered:
            try:
                record = json.loads(line.decode())
                # The set is in the name: many number their items from 0 on.
                yield f"{pathlib.Path(path).stem}:{record.get('id', number)}", texts(record)
            except (ValueError, AttributeError, IndexError, RecursionError) as error:
                raise ValueError(
                    f"{path}:{number} is no evaluation item; each line must be a JSON object."
                ) from error


def build(items: Iterable[tuple[str, tuple[str, ...]]], limits: Leaks) -> Index:
    """The index of items; a text shorter than one n-gram is looked for whole.

    A short text that stands in several items (`Which of these is true?`) is no one's. One with too
    few words to be known by (`Omar hated himself.`) counts as a sentence or a line of its own.
    """
    found = [(item, *_prepare(text, limits)) for item, parts in items for text in parts]
    common = _common([(item, hashes) for item, hashes, _ in found], limits) if found else set()
    rows: dict[int, list[tuple[np.ndarray, int]]] = {}
    names, lengths, alone = [], [], []
    for item, hashes, enough in found:
        if not enough and not limits.alone <= len(hashes) < limits.ngram:
            continue
        length = min(limits.ngram, len(hashes))
        grams = tokens.ngrams(hashes, length)
        if length < limits.ngram and int(grams[0]) in common:
            continue
        rows.setdefault(length, []).append((grams, len(names)))
        names.append(item)
        lengths.append(len(hashes))
        alone.append(not enough)
    tables = tuple(_table(length, rows[length]) for length in sorted(rows))
    short = dict.fromkeys(item for item, _, _ in found)
    for name in names:
        short.pop(name, None)
    sizes, apart = np.array(lengths, np.int64), np.array(alone, bool)
    return Index(tables, tuple(names), sizes, apart, tuple(short))


def _prepare(text: str, limits: Leaks) -> tuple[np.ndarray, bool]:
    """Token hashes, and whether there are enough words among them to know a text by."""
    hashes, starts, single = tokens.tokenise(text)
    if not len(hashes):
        return hashes, False
    plain = tokens.normalise(text)
    words = sum(plain[start].isalpha() for start in starts)
    least = limits.short_words + (limits.short_han - limits.short_words) * single.mean()
    # A formula is known by its length, if there are words about it: 1 + 2 + 3 ... is anyone's.
    return hashes, words >= least or (words >= FEW_WORDS and len(hashes) >= 2 * least)


def _common(texts: list[tuple[str, np.ndarray]], limits: Leaks) -> set[int]:
    """Hashes of those short texts that are part of several items."""
    joined = np.concatenate([part for _, hashes in texts for part in (hashes, BETWEEN)])
    items = {item: number for number, item in enumerate(dict.fromkeys(item for item, _ in texts))}
    sizes = [len(hashes) + 1 for _, hashes in texts]
    owners = np.repeat([items[item] for item, _ in texts], sizes)
    common: set[int] = set()
    for length in {len(hashes) for _, hashes in texts if 0 < len(hashes) < limits.ngram}:
        whole = [tokens.ngrams(hashes, length) for _, hashes in texts if len(hashes) == length]
        grams, wanted = tokens.ngrams(joined, length), np.concatenate(whole)
        known = _prefixes(wanted)
        places = np.flatnonzero(known[_prefix(grams, known)])
        places = places[np.isin(grams[places], wanted)]
        pairs = np.unique(np.stack([grams[places], owners[places].astype(np.uint64)]), axis=1)
        shared, count = np.unique(pairs[0], return_counts=True)
        common.update(shared[count > 1].tolist())
    return common


def _table(length: int, rows: list[tuple[np.ndarray, int]]) -> Table:
    grams = np.concatenate([grams for grams, _ in rows])
    probes = np.concatenate([np.full(len(grams), probe) for grams, probe in rows])
    offsets = np.concatenate([np.arange(len(grams)) for grams, _ in rows])
    order = np.argsort(grams, kind="stable")
    return Table(length, grams[order], probes[order], offsets[order], _prefixes(grams))


def _prefixes(grams: np.ndarray) -> np.ndarray:
    """bool [2^k] the first k bits of these hashes, k such that one in 16 is set at most."""
    known = np.zeros(1 << (len(grams).bit_length() + 4), bool)
    known[_prefix(grams, known)] = True
    return known


def _prefix(grams: np.ndarray, known: np.ndarray) -> np.ndarray:
    return (grams >> np.uint64(65 - len(known).bit_length())).astype(np.int64)


def find(index: Index, text: str, limits: Leaks) -> list[Hit]:
    """The items that the text holds, each once, in the order of the items."""
    hashes, starts, _ = tokens.tokenise(text)
    plain = functools.cache(lambda: tokens.normalise(text))
    hits: dict[str, int] = {}
    tables = {table.length: table for table in index.tables}
    for length, grams in tokens.all_ngrams(hashes, tuple(tables)):
        table = tables[length]
        for probe, (offsets, places) in _matches(table, grams).items():
            size = int(index.lengths[probe])
            if index.alone[probe]:
                places = [at for at in places if _stands_alone(plain(), starts, at, size)]
            if places and _leaked(offsets, table.length, size, limits):
                hits.setdefault(index.items[probe], places[0])
    return [Hit(item, _excerpt(plain(), int(starts[at]))) for item, at in sorted(hits.items())]


def _matches(table: Table, grams: np.ndarray) -> dict[int, tuple[set[int], list[int]]]:
    """probe -> (its tokens where an n-gram of the text begins, the places in the text)."""
    places = np.flatnonzero(table.known[_prefix(grams, table.known)])
    first = np.searchsorted(table.grams, grams[places], side="left")
    last = np.searchsorted(table.grams, grams[places], side="right")
    found: dict[int, tuple[set[int], list[int]]] = {}
    for place, start, stop in zip(places.tolist(), first, last, strict=True):
        for row in range(start, stop):
            offsets, at = found.setdefault(int(table.probes[row]), (set(), []))
            offsets.add(int(table.offsets[row]))
            at.append(place)
    return found


def _stands_alone(plain: str, starts: np.ndarray, place: int, size: int) -> bool:
    """Whether a sentence or line begins at the token `place` and ends `size` tokens later."""
    return all(
        at in (0, len(starts)) or BREAK.search(plain, starts[at - 1], starts[at])
        for at in (place, place + size)
    )


def _leaked(offsets: set[int], length: int, size: int, limits: Leaks) -> bool:
    covered, run, longest, end = 0, 0, 0, -1
    for start in sorted(offsets):
        new = start + length - max(end, start)
        run = run + new if start <= end else length
        covered, longest, end = covered + new, max(longest, run), start + length
    return covered >= limits.coverage * size or longest >= limits.run


def _excerpt(plain: str, start: int) -> str:
    return " ".join(plain[start : start + EXCERPT].split())
