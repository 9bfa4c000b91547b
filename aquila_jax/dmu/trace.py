"""Which documents were in a stretch of the stream, and where in the stream a document was."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from aquila_jax.dmu import exclusion, mixture, permutation
from aquila_jax.dmu.ledger import Entry, Ledger, lookup, passed
from aquila_jax.dmu.stream import SPLIT, Stream, numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracedDocument:
    """A span of one document that was one segment of one sequence."""

    cursor: int
    sequence: int  # stream number
    domain: str
    epoch: int
    index: int  # of the sequence in its domain
    document: int  # in the store
    first: int  # tokens [first, last) of the document
    last: int
    provenance: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Appearance:
    """A sequence that held a part of the document in question."""

    cursor: int
    sequence: int
    epoch: int
    index: int


def trace(stream: Stream, ledger: Ledger, first: int, last: int) -> list[TracedDocument]:
    """The documents behind cursors [first, last), in order; with a target each."""
    found, store = lookup(ledger, np.arange(first, last)), stream.store
    domain = numbers(ledger.domains, stream.domains)[found.domain]
    pieces = stream.index.pieces(domain, found.index)
    provenance: dict[tuple[str, int], dict[str, Any]] = {}
    traced = []
    for row, _, start, length in zip(*(part.tolist() for part in pieces), strict=True):
        if length < 2:  # a lone token teaches nothing: the window ended at it
            continue
        name = stream.domains[domain[row]]
        offsets = store.offsets(SPLIT, name)
        document = int(np.searchsorted(offsets, start, side="right")) - 1
        if (name, document) not in provenance:
            provenance[name, document] = store.provenance(SPLIT, name, document)
        begin = start - int(offsets[document])
        traced.append(
            TracedDocument(
                cursor=first + row,
                sequence=int(found.sequence[row]),
                domain=name,
                epoch=int(found.epoch[row]),
                index=int(found.index[row]),
                document=document,
                first=begin,
                last=begin + length,
                provenance=provenance[name, document],
            )
        )
    return traced


def rows_of(stream: Stream, documents: Iterable[tuple[str, int]]) -> dict[str, list[list[int]]]:
    """Domain -> [first, last) of the sequences in it that teach any of these (domain, number)."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for domain, document in documents:
        rows = _rows_with(stream, domain, document).tolist()
        ranges.setdefault(domain, []).extend((row, row + 1) for row in rows)
    return {name: [*map(list, exclusion.merge(found))] for name, found in ranges.items() if found}


def _rows_with(stream: Stream, domain: str, document: int) -> np.ndarray:
    """The sequences of a domain that teach a part of one of its documents, in order."""
    if domain not in stream.domains:
        raise ValueError(f"domain {domain!r} is not in the stream; it has {list(stream.domains)}.")
    offsets = stream.store.offsets(SPLIT, domain)
    if not 0 <= document < len(offsets) - 1:
        raise ValueError(
            f"{domain} has no document {document}; it has {len(offsets) - 1}, counted from 0."
        )
    begin, end = offsets[document : document + 2].tolist()
    number = stream.domains.index(domain)
    # A lone token teaches nothing, and a domain that fills no sequence is never read.
    rows = stream.index.rows_with(number, begin, end) if end - begin > 1 else np.zeros(0, np.int64)
    return rows[rows < stream.index.rows[number]]


def appearances(
    stream: Stream, ledger: Ledger, domain: str, document: int, *, cursors: range
) -> list[Appearance]:
    """Every sequence of `cursors` that taught a part of one document: was it seen, and when?"""
    rows = _rows_with(stream, domain, document)
    if domain not in ledger.domains or not cursors:
        return []
    number = ledger.domains.index(domain)
    first, last = exclusion.jump(ledger.skips, np.array([cursors[0], cursors[-1]])).tolist()
    found = []
    for entry, until in zip(ledger.entries, [*ledger.firsts[1:].tolist(), last + 1], strict=True):
        span = max(entry.first, first), min(until, last + 1)
        if span[0] < span[1] and number < len(entry.weights):
            found += _in_entry(ledger, entry, number, rows, span=span)
    return sorted(found, key=lambda appearance: appearance.cursor)


def _in_entry(
    ledger: Ledger, entry: Entry, domain: int, rows: np.ndarray, *, span: tuple[int, int]
) -> list[Appearance]:
    """The places in stream numbers `span`, all under one entry, of `rows` of a domain."""
    start, stop = (int(passed(ledger, entry, edge)[domain]) for edge in span)
    out = np.array(entry.excluded.get(domain, ()), np.int64).reshape(-1, 2)
    rows = rows[~((rows[:, None] >= out[:, 0]) & (rows[:, None] < out[:, 1])).any(axis=1)]
    size, key = ledger.sizes[domain], ledger.keys[domain]
    free = int(ledger.free(entry)[domain])
    found = []
    for epoch in range(start // free, -(-stop // free)) if start < stop else ():
        position = permutation.invert(rows, size=size, key=key, epoch=epoch)
        place = exclusion.position_to_place(position, ledger.holes(entry, domain, epoch))
        count = epoch * free + place
        inside = (count >= start) & (count < stop)
        rank = count[inside] - entry.offsets[domain]
        sequence = mixture.find(rank, domain, entry.limits, ledger.mixture_key)
        cursor = exclusion.land(ledger.skips, sequence)
        where = zip(cursor.tolist(), sequence.tolist(), rows[inside].tolist(), strict=True)
        found += [
            Appearance(cursor=cursor, sequence=sequence, epoch=epoch, index=index)
            for cursor, sequence, index in where
            if cursor >= 0  # not in a skipped stretch
        ]
    return found
