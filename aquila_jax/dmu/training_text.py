"""The text a tokenizer is trained on: a sample of bounded size, the same bytes of each language."""

import collections
import functools
import hashlib
import heapq
from collections.abc import Iterable, Sequence

from aquila_jax.dmu.progress import Report
from aquila_jax.dmu.source_files import (
    Reading,
    SourceFile,
    documents,
    for_each,
    reading_of,
    split_of,
)

# (rank, bytes, text): rank is a hash of the document's id, so a sample does not
# depend on the order or the grouping in which documents come.
Candidate = tuple[int, int, str]


def rank(identity: str) -> int:
    """A document's place in the order in which samples are drawn."""
    digest = hashlib.sha256(b"sample|" + identity.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big")


def draw(candidates: Iterable[Candidate], limit: int) -> list[Candidate]:
    """The candidates of lowest rank that fill `limit` bytes, in memory of that size.

    `draw` of several `draw`s is the `draw` of all their candidates at once.
    """
    heap, total = [], 0
    for number, size, text in candidates:
        heapq.heappush(heap, (-number, size, text))
        total += size
        while heap and total - heap[0][1] >= limit:
            total -= heapq.heappop(heap)[1]
    return [(-number, size, text) for number, size, text in sorted(heap, reverse=True)]


def share(available: dict[str, int], total: int) -> dict[str, int]:
    """`total` bytes in equal parts to the languages; what one lacks, the others get."""
    shares, left = {}, total
    for count, language in enumerate(sorted(available, key=lambda name: (available[name], name))):
        shares[language] = min(available[language], left // (len(available) - count))
        left -= shares[language]
    return shares


def balance(candidates: dict[str, list[Candidate]], total: int) -> list[str]:
    """Texts of about `total` bytes, balanced over languages, in an order set by their ranks."""
    available = {
        language: sum(size for _, size, _ in found) for language, found in candidates.items()
    }
    shares = share(available, total)
    drawn = [one for language, found in candidates.items() for one in draw(found, shares[language])]
    return [text for _, _, text in sorted(drawn)]


def gather_text(
    files: Sequence[SourceFile], limit: int, *, processes: int, report: Report
) -> tuple[list[Reading], list[str]]:
    """Balanced training text of `limit` bytes, and how each file could be read."""
    work = functools.partial(draw_from_file, limit=limit)
    readings, languages = {}, {}
    for index, (reading, drawn) in for_each(
        work, files, processes=processes, title="sample", report=report
    ):
        readings[index] = reading
        language = files[index].language
        languages[language] = draw([*languages.get(language, []), *drawn], limit)
    return [readings[index] for index in range(len(files))], balance(languages, limit)


def draw_from_file(source: SourceFile, *, limit: int) -> tuple[Reading, list[Candidate]]:
    """Reads the file once; up to `limit` bytes of its training text, by rank."""
    tally, first = collections.Counter(), []
    candidates = (
        (rank(document.id), len(document.text.encode()), document.text)
        for document in documents(source, tally, first)
        if split_of(document, source) == "train"
    )
    drawn = draw(candidates, limit)
    return reading_of(source, tally, first), drawn
