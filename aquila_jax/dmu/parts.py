"""Parts: the tokens of one source file, made by any process, kept until the store is whole."""

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator

import numpy as np

from aquila_jax.dmu import places
from aquila_jax.dmu.manifest import SPLITS, Split
from aquila_jax.dmu.source_files import (
    Reading,
    SourceFile,
    documents,
    reading_of,
    split_of,
)
from aquila_jax.dmu.sources import Document
from aquila_jax.dmu.tokenizer import BOS, EOS, Tokenizer, encode_batch, load_tokenizer

_BATCH = 1 << 18  # characters encoded at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """What one split holds."""

    documents: int = 0
    tokens: int = 0
    bytes: int = 0
    characters: int = 0
    provenance: int = 0  # bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """The tokens of one source file, whole: raw files that begin with `prefix`."""

    prefix: str
    reading: Reading
    train: Counts
    heldout: Counts

    def counts(self, split: Split) -> Counts:
        """What it has for "train" or "heldout"."""
        return {"train": self.train, "heldout": self.heldout}[split]

    def file(self, split: Split, name: str) -> str:
        """One of its raw files."""
        return f"{self.prefix}.{split}.{name}"


def make_part(source: SourceFile, *, folder: str, tokenizer: str) -> Part:
    """The file's part, from `folder` if it is there, else tokenised into it."""
    loaded = load_tokenizer(tokenizer)
    key = [dataclasses.asdict(source), loaded.sha256]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    prefix = places.join(folder, digest)
    # Written last, so the part is whole where it stands.
    if places.exists(prefix + ".json"):
        return _from_json(prefix, source, places.read_bytes(prefix + ".json"))
    part = _tokenise(prefix, source, loaded)
    places.write_bytes(prefix + ".json", _to_json(part))
    return part


def token_type(vocab_size: int) -> str:
    """The smallest unsigned type that holds every id."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def _tokenise(prefix: str, source: SourceFile, tokenizer: Tokenizer) -> Part:
    tally, first = collections.Counter(), []
    dtype = np.dtype(token_type(tokenizer.vocab_size)).newbyteorder("<")
    fields = [field.name for field in dataclasses.fields(Counts)]
    names = ("tokens", "lengths", "provenance", "provenance_lengths")
    with contextlib.ExitStack() as stack:
        files = {
            (split, name): stack.enter_context(places.writing(f"{prefix}.{split}.{name}"))
            for split, name in itertools.product(SPLITS, names)
        }
        for batch in _batches(documents(source, tally, first)):
            encoded = encode_batch(tokenizer, [document.text for document in batch])
            for document, ids in zip(batch, encoded, strict=True):
                tokens = np.concatenate(([BOS], ids, [EOS])).astype(dtype)
                split, origin = split_of(document, source), _origin(document)
                files[split, "tokens"].write(tokens.tobytes())
                files[split, "lengths"].write(np.array(len(tokens), "<i8").tobytes())
                files[split, "provenance"].write(origin)
                files[split, "provenance_lengths"].write(np.array(len(origin), "<i8").tobytes())
                counted = (1, len(tokens), len(document.text.encode()), len(document.text))
                for name, count in zip(fields, (*counted, len(origin)), strict=True):
                    tally[split, name] += count
    train, heldout = (Counts(**{name: tally[split, name] for name in fields}) for split in SPLITS)
    reading = reading_of(source, tally, first)
    return Part(prefix=prefix, reading=reading, train=train, heldout=heldout)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch, characters = [], 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= _BATCH:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _origin(document: Document) -> bytes:
    origin = {
        "id": document.id,
        "source": document.source,
        "file": document.file,
        "line": document.line,
    }
    return json.dumps(origin).encode() + b"\n"


def _to_json(part: Part) -> bytes:
    record = {
        "documents": part.reading.documents,
        "flaws": part.reading.flaws,
        "first_flaws": part.reading.first_flaws,
        "train": dataclasses.asdict(part.train),
        "heldout": dataclasses.asdict(part.heldout),
    }
    return json.dumps(record).encode()


def _from_json(prefix: str, source: SourceFile, content: bytes) -> Part:
    record = json.loads(content)
    reading = Reading(
        source=source,
        documents=record["documents"],
        flaws=record["flaws"],
        first_flaws=tuple(record["first_flaws"]),
    )
    train, heldout = (Counts(**record[split]) for split in SPLITS)
    return Part(prefix=prefix, reading=reading, train=train, heldout=heldout)
