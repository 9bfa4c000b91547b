"""Source files: what each holds, where its documents go, how well it could be read."""

import collections
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from aquila_jax.dmu import places
from aquila_jax.dmu.manifest import Split
from aquila_jax.dmu.processes import Result, spread
from aquila_jax.dmu.progress import Report, track
from aquila_jax.dmu.sources import Document, Fields, Flaw, Source, expand, passed_over, read

FIRST_FLAWS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a source, with what decides where its documents go."""

    file: str
    content: str  # its fingerprint
    size: int  # bytes
    name: str
    language: str
    split: Split
    heldout: float  # share of the documents that is held out
    text_field: str
    place_field: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file was read: documents found, and places where there should be one."""

    source: SourceFile
    documents: int
    flaws: int
    first_flaws: tuple[str, ...]


def list_files(sources: Sequence[Source], heldout: float) -> list[SourceFile]:
    """Every file of every source; `heldout` is for domains that have no held-out source."""
    found = each_once(sources)
    held = {source.name for source in sources if source.split == "heldout"}
    with ThreadPoolExecutor() as threads:
        prints = list(threads.map(fingerprint_file, [file for _, file in found]))
    files = [
        SourceFile(
            file=file,
            content=content,
            size=size,
            name=source.name,
            language=source.language,
            split=source.split,
            heldout=0.0 if source.name in held else heldout,
            text_field=source.text_field,
            place_field=source.place_field,
        )
        for (source, file), (content, size) in zip(found, prints, strict=True)
    ]
    _require_apart(files)
    return files


def each_once(sources: Iterable[Source]) -> list[tuple[Source, str]]:
    """Every file of every source; one that a name and split have under two names, once.

    Copies under other names stay: a person may weigh so. And a file of two text fields is two.
    """
    found = {}
    for source in sources:
        for file in expand(source):
            real = os.path.realpath(file) if places.is_local(places.filesystem(file)[0]) else file
            found.setdefault((source.name, source.split, source.text_field, real), (source, file))
    return list(found.values())


def left_out(sources: Sequence[Source]) -> Iterator[str]:
    """A line for each source with files in its folders that are not read."""
    for source in sources:
        if kinds := passed_over(source):
            told = ", ".join(f"{kind} ({count})" for kind, count in kinds.items())
            yield f"source {source.name}: left out, since files of such names are not read: {told}"


def _require_apart(files: Sequence[SourceFile]) -> None:
    """What is tested on is not learned from, whatever the name of the file that holds it."""
    held = [file for file in files if file.split == "heldout"]
    names = {file.file: file for file in held}
    contents = {file.content: file for file in held if file.size}
    for file in files:
        if file.split == "train" and (twin := names.get(file.file) or contents.get(file.content)):
            copied = "" if twin.file == file.file else f" holds the same as {twin.file}, which"
            raise ValueError(
                f"source {file.name} (train): {file.file}{copied} is held out by source "
                f"{twin.name}; name files for the one or the other, such as train-*.jsonl."
            )


def fingerprint_file(file: str) -> tuple[str, int]:
    """What the file holds (its sha256; on gs:// the service's own mark), and its bytes."""
    fs, path = places.filesystem(file)
    if not places.is_local(fs):
        return fs.ukey(path), fs.size(path)
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest(), fs.size(path)


def for_each(
    work: Callable[[SourceFile], Result],
    files: Sequence[SourceFile],
    *,
    processes: int,
    title: str,
    report: Report,
) -> Iterator[tuple[int, Result]]:
    """`(index, work(files[index]))` as they are done, with progress; the largest files first."""
    order = sorted(range(len(files)), key=lambda index: -files[index].size)
    total = sum(file.size for file in files) / 1e6
    advance = track(report, title=title, unit="MB of files", total=total)
    for index, result in spread(work, [files[at] for at in order], processes):
        yield order[index], result
        advance(files[order[index]].size / 1e6)


def documents(
    source: SourceFile, tally: collections.Counter, first: list[str]
) -> Iterator[Document]:
    """The file's documents; counts them and the flaws as they pass."""
    for item in read(source.file, Fields(source.text_field, source.place_field)):
        if isinstance(item, Flaw):
            tally["flaws"] += 1
            first.extend([str(item)] * (len(first) < FIRST_FLAWS))
        else:
            tally["read"] += 1
            yield item


def reading_of(source: SourceFile, tally: collections.Counter, first: list[str]) -> Reading:
    """What `documents` has counted, once it has come to the end."""
    return Reading(
        source=source, documents=tally["read"], flaws=tally["flaws"], first_flaws=tuple(first)
    )


def split_of(document: Document, source: SourceFile) -> Split:
    """By a hash of the id, so that a document stays where it is when others come or go."""
    if source.split == "heldout":
        return "heldout"
    digest = hashlib.sha256(b"heldout|" + document.id.encode("utf-8", "replace")).digest()
    return "heldout" if int.from_bytes(digest[:6], "big") < source.heldout * 2**48 else "train"


def check(readings: Sequence[Reading], max_flaws: float) -> None:
    """ValueError for a source without documents, or with too many that cannot be read."""
    for (name, split), group in by_source(readings).items():
        count = sum(reading.documents for reading in group)
        flaws = sum(reading.flaws for reading in group)
        if not count + flaws:
            raise ValueError(f"source {name} ({split}) is empty: its files hold no documents.")
        if flaws > max_flaws * (count + flaws):
            raise ValueError(
                f"source {name} ({split}): {flaws} of {count + flaws} documents are unreadable, "
                f"first at {', '.join(first_flaws(group))}; mend them or raise "
                f"max_flaws={max_flaws}."
            )


def by_source(readings: Sequence[Reading]) -> dict[tuple[str, Split], list[Reading]]:
    """Readings of the files of each source and split, in order."""
    groups = {}
    for reading in readings:
        groups.setdefault((reading.source.name, reading.source.split), []).append(reading)
    return groups


def first_flaws(readings: Sequence[Reading]) -> tuple[str, ...]:
    """The first few places of all."""
    return tuple(flaw for reading in readings for flaw in reading.first_flaws)[:FIRST_FLAWS]
