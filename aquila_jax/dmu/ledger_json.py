"""A ledger as JSON: what was decided and nothing that follows from it, changes only."""

import dataclasses
import json

import numpy as np

from aquila_jax.dmu import ledger
from aquila_jax.dmu.ledger import Entry, Ledger

VERSION = 1


def to_json(book: Ledger) -> str:
    """The ledger as one compact line; see `_changes` for an entry."""
    before = [None, *book.entries[:-1]]
    entries = [_changes(book, *pair) for pair in zip(before, book.entries, strict=True)]
    value = {"version": VERSION, "seed": book.seed, "entries": entries, "skips": book.skips}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> Ledger:
    """The ledger written by `to_json`, with everything that follows computed again."""
    value = json.loads(text)
    if value.get("version") != VERSION:
        raise ValueError(
            f"this ledger has version {value.get('version')}; this program reads version {VERSION}."
        )
    book = ledger.empty(value["seed"])
    for changes in value["entries"]:
        book = _apply(book, changes)
    skips = tuple((first, last) for first, last in value["skips"])
    return dataclasses.replace(book, skips=skips)


def _changes(book: Ledger, before: Entry | None, entry: Entry) -> dict:
    """`at`, `sizes` of joining domains, weights that changed, content newly excluded.

    Weights are a list of all when more than half changed, else a dict from the domain's number.
    """
    known = len(before.weights) if before else 0
    names = book.domains[known : len(entry.weights)]
    value = {"at": entry.first}
    if names:
        value["sizes"] = dict(zip(names, book.sizes[known:].tolist(), strict=False))
    old = before.weights if before else np.zeros(0)
    changed = np.append(
        np.flatnonzero(old != entry.weights[:known]), np.arange(known, len(entry.weights))
    )
    if 2 * len(changed) > len(entry.weights):
        value["weights"] = _short(entry.weights)
    elif len(changed):
        value["weights"] = dict(zip(changed.tolist(), _short(entry.weights[changed]), strict=True))
    held = before.excluded if before else {}
    out = {
        number: ranges for number, ranges in entry.excluded.items() if ranges != held.get(number)
    }
    return value | ({"exclude": out} if out else {})


def _short(weights: np.ndarray) -> list[float | int]:
    """Whole numbers without `.0`; the others are short already."""
    return [int(weight) if weight.is_integer() else weight for weight in weights.tolist()]


def _apply(book: Ledger, changes: dict) -> Ledger:
    """`book` and one entry more."""
    last = book.entries[-1] if book.entries else None
    book = ledger.join(book, changes.get("sizes", {}))
    weights = np.zeros(len(book.domains))
    if last:
        weights[: len(last.weights)] = last.weights
    new = changes.get("weights", {})
    if isinstance(new, list):
        weights[:] = new
    else:
        weights[[int(number) for number in new]] = list(new.values())
    excluded = dict(last.excluded) if last else {}
    for number, ranges in changes.get("exclude", {}).items():
        excluded[int(number)] = tuple((first, last) for first, last in ranges)
    return ledger.grow(book, changes["at"], weights, excluded)
