"""Documents as they come, one at a time: JSON Lines, Parquet, text, web pages, PDF files."""

import codecs
import collections
import dataclasses
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from aquila_jax.dmu import optional, places, walk

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KINDS = {".parquet": "parquet", ".html": "page", ".htm": "page", ".xhtml": "page", ".pdf": "pdf"}
_BLOCK = 1 << 20  # bytes read at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where the documents of one domain lie; several sources may share a name."""

    name: str
    language: str  # "en", "zh", "code", "math", "en-zh"; "": the cleaning tells en and zh apart
    paths: tuple[str, ...]  # files, folders or globs, local or gs://
    split: Literal["train", "heldout"] = "train"
    text_field: str = "text"
    place_field: str = ""  # of a record that was taken from another file: FILE:LINE

    def __post_init__(self):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ValueError(
                f"source name {self.name!r} must be of letters, digits and _ . - only."
            )
        spelt = re.split("[-_]", self.language.lower())
        natural = {"en", "zh"}
        if spelt[0] in natural and not natural.issuperset(self.language.split("-")):
            raise ValueError(
                f"{self.name}: language={self.language!r} must be written {spelt[0]!r}, as the "
                "rules of the cleaning know it."
            )
        if self.split not in {"train", "heldout"}:
            raise ValueError(f"{self.name}: split={self.split!r} must be 'train' or 'heldout'.")
        if isinstance(self.paths, str) or not self.paths:
            raise ValueError(f"{self.name}: paths={self.paths!r} must be a tuple of paths.")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Document:
    """One text and where it is from."""

    text: str
    id: str  # the record's own, or a digest of the text: it decides what is held out
    source: str  # the record's own word, may be empty
    file: str
    line: int  # from 1; a Parquet file's row


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """A place that holds no document, though it should."""

    file: str
    line: int
    reason: str

    def __str__(self):
        return f"{self.file}:{self.line} ({self.reason})"


def expand(source: Source) -> tuple[str, ...]:
    """The source's files, sorted within each path; ValueError if a path has none."""
    files = [file for path in source.paths for file in _files(source.name, path)]
    return tuple(dict.fromkeys(files))


def passed_over(source: Source) -> dict[str, int]:
    """Kinds of files in the source's folders that hold no text as far as can be told, and how many."""
    files = [file for path in source.paths for file in walk.below(path) if not _is_text(file)]
    kinds = (os.path.splitext(file)[1] or os.path.basename(file) for file in files)
    return dict(collections.Counter(kinds).most_common())


class Fields(NamedTuple):
    """Where a record holds what is read of it."""

    text: str = "text"
    place: str = ""


def read(file: str, fields: Fields = Fields()) -> Iterator[Document | Flaw]:
    """Every document of a file, and a `Flaw` for each one that cannot be read."""
    fs, path = places.filesystem(file)
    try:
        with fs.open(path, "rb") as raw:
            yield from READERS[_kind(file)](_open(raw, file), file, fields)
    except FileNotFoundError as error:
        raise ValueError(f"{file} does not exist.") from error
    except (OSError, pa.ArrowException) as error:
        raise ValueError(
            f"{file} cannot be read to its end ({error}); it is cut off or damaged: fetch it again."
        ) from error


def _files(name: str, path: str) -> list[str]:
    found = walk.named(path, wanted=_is_text)
    if not found:
        raise ValueError(
            f"source {name}: {path} holds no documents; give a file, a folder or a glob of "
            ".jsonl, .parquet, .html, .pdf or text files, as they are or with .gz or .zst."
        )
    return found


def _kind(file: str) -> str:
    name = file.lower()
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    if name.endswith((".jsonl", ".ndjson", ".json")):
        return "lines"
    return next((kind for suffix, kind in KINDS.items() if name.endswith(suffix)), "text")


def _is_text(file: str) -> bool:
    """Of text files in a folder only these: not its licences, check sums and the like."""
    return _kind(file) != "text" or file.lower().endswith((".txt", ".md", ".txt.gz", ".txt.zst"))


def _open(raw: BinaryIO, file: str) -> BinaryIO:
    """The decompressed bytes. Arrow's streams, unlike zstandard's, notice a missing end."""
    for suffix, codec in COMPRESSIONS.items():
        if file.lower().endswith(suffix):
            if not raw.read(1):
                raise OSError("it is empty")  # not even a header, which Arrow does not mind
            raw.seek(0)
            stream = pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec)
            return io.BufferedReader(stream, _BLOCK)
    return raw


def _read_lines(raw: BinaryIO, file: str, fields: Fields) -> Iterator[Document | Flaw]:
    for number, line in enumerate(raw, start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.strip():
            yield _parse(line, file, number, fields)


def _parse(line: bytes, file: str, number: int, fields: Fields) -> Document | Flaw:
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError:
        return Flaw(file=file, line=number, reason="not valid UTF-8")
    except (ValueError, RecursionError):
        return Flaw(file=file, line=number, reason="not valid JSON")
    if not isinstance(record, dict):
        return Flaw(file=file, line=number, reason="not a JSON object")
    return _document(record, file, number, fields)


def _document(record: dict[str, Any], file: str, number: int, fields: Fields) -> Document | Flaw:
    text = record.get(fields.text)
    if not isinstance(text, str) or not text.strip():
        return Flaw(file=file, line=number, reason=f"no text in field {fields.text!r}")
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can spell half a surrogate pair
        return Flaw(file=file, line=number, reason="not valid Unicode")
    words = map(record.get, ("id", "source"))
    name, source = ("" if word is None else str(word) for word in words)
    if fields.place:
        place, _, line = str(record.get(fields.place)).rpartition(":")
        if not line.isdecimal():
            return Flaw(file=file, line=number, reason=f"no FILE:LINE in field {fields.place!r}")
        file, number = place, int(line)
    return Document(
        text=text,
        id=name if name.strip() else hashlib.sha256(text.encode()).hexdigest()[:16],
        source=source,
        file=file,
        line=number,
    )


def _read_parquet(raw: BinaryIO, file: str, fields: Fields) -> Iterator[Document | Flaw]:
    table = pq.ParquetFile(raw if raw.seekable() else io.BytesIO(raw.read()))
    if fields.text not in table.schema_arrow.names:
        raise ValueError(
            f"{file} has no column {fields.text!r}; its columns are {table.schema_arrow.names}: "
            "set the source's text_field."
        )
    wanted = dict.fromkeys((fields.text, "id", "source", fields.place))
    columns = [name for name in wanted if name in table.schema_arrow.names]
    number = 0
    for batch in table.iter_batches(batch_size=1024, columns=columns):
        for record in _records(batch, file, number):
            number += 1
            yield record if isinstance(record, Flaw) else _document(record, file, number, fields)


def _records(batch: pa.RecordBatch, file: str, before: int) -> Iterator[dict[str, Any] | Flaw]:
    """The rows after so many; one that cannot be decoded is a flaw, those around it are not."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):
        for row in range(len(batch)):
            try:
                yield batch.slice(row, 1).to_pylist()[0]
            except (ValueError, OverflowError) as error:
                coding = isinstance(error, UnicodeDecodeError)
                reason = "not valid UTF-8" if coding else f"not readable: {error}"
                yield Flaw(file=file, line=before + row + 1, reason=reason)


def _read_text(raw: BinaryIO, file: str, fields: Fields) -> Iterator[Document | Flaw]:
    try:
        text = raw.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        yield Flaw(file=file, line=1, reason="not valid UTF-8")
        return
    yield _document({fields.text: text}, file, 1, Fields(fields.text))


def _read_extracted(
    raw: BinaryIO, file: str, fields: Fields, *, extractor: str
) -> Iterator[Document | Flaw]:
    """A web page or a PDF, whose text is found by a library that not everybody needs."""
    extract = optional.load("aquila_jax.dmu.clean.extract", f"reading {file}")
    try:
        text = getattr(extract, extractor)(raw.read(), "it")
    except ValueError as error:
        yield Flaw(file=file, line=1, reason=str(error))
        return
    yield _document({fields.text: text}, file, 1, Fields(fields.text))


READERS = {
    "lines": _read_lines,
    "parquet": _read_parquet,
    "text": _read_text,
    "page": functools.partial(_read_extracted, extractor="html_text"),
    "pdf": functools.partial(_read_extracted, extractor="pdf_text"),
}
