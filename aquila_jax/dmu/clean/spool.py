"""Documents of any iterator laid out on disk in shards that tasks can work on and come back to."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import pathlib
import shutil
from collections.abc import Iterable
from typing import Any

import numpy as np

from aquila_jax.core import files
from aquila_jax.dmu.clean import documents as docs
from aquila_jax.dmu.clean import sourcing, vocabulary
from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.sources import Flaw

FIRST = 10  # unreadable places of a file that are named
SITES, OTHERS = 100, "others"  # of a domain that are told apart in the account; and the rest
MANIFEST, WORDS = "input.json", "words.npy"


def lay_out(
    documents: Iterable[Document | Flaw], folder: str, *, shard_characters: int, key: Any
) -> dict[str, Any]:
    """Writes the documents to `folder`/input once; what was counted, from disk if it stands there.

    `key` describes input and settings: a folder with another one is refused.
    """
    place = pathlib.Path(folder)
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    if (place / MANIFEST).exists():
        manifest = json.loads((place / MANIFEST).read_text())
        if manifest["key"] != digest:
            raise ValueError(
                f"{folder} holds the cleaning of other documents or settings; use another folder, "
                "or remove that one first."
            )
        return manifest
    shutil.rmtree(place / "input", ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    tally, words = collections.Counter(), np.zeros(vocabulary.SLOTS, np.uint8)
    flaws: list[str] = []
    shards = _write(documents, place, shard_characters, (tally, words, flaws))
    np.save(place / WORDS, words)
    inputs = [
        [*cell, *_sizes(tally, cell)]
        for cell in sorted({key[1:] for key in tally if key[0] == "documents"})
    ]
    counted = sum(count for name, count in tally.items() if name[0] == "counted")
    manifest = {
        "key": digest,
        "shards": shards,
        "inputs": inputs,  # domain, language, source, documents, characters
        "empty": tally[("empty",)],
        "unreadable": {name[1]: count for name, count in tally.items() if name[0] == "flaws"},
        "first_unreadable": flaws,
        "counted": counted,
    }
    files.write(place / MANIFEST, json.dumps(manifest).encode())
    return manifest


def _sizes(tally: collections.Counter, cell: tuple[str, ...]) -> tuple[int, int]:
    return tally[("documents", *cell)], tally[("characters", *cell)]


def _write(
    documents: Iterable[Document | Flaw], place: pathlib.Path, most: int, counts: tuple
) -> int:
    """Number of shards written, each of about `most` characters."""
    tally, words, flaws = counts
    shard, size = 0, 0
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(docs.writer(str(place / "input")))
        for number, document in enumerate(documents):
            if isinstance(document, Flaw):
                tally["flaws", document.file] += 1
                flaws += [str(document)] if tally["flaws", document.file] <= FIRST else []
                continue
            document = _valid(document)
            if not document.text.strip():
                tally[("empty",)] += 1
                continue
            if size >= most:
                writer.close_file(f"{shard:05d}.jsonl.zst")
                shard, size = shard + 1, 0
            cell = _cell(document, tally)
            counted = _count(cell, document.text, tally, words)
            step = docs.to_step(
                document, given=cell, number=number, shard=shard, counted=int(counted)
            )
            writer.write(step, rank=shard)
            size += len(document.text)
    return shard + 1


def _cell(document: Document, tally: collections.Counter) -> tuple[str, str, str]:
    """Where a document is counted: its site, or with the rest where a domain has too many."""
    cell = (document.domain, document.language, sourcing.site(document.source))
    sites = ("sites", document.domain)
    if ("documents", *cell) not in tally:
        if tally[sites] >= SITES:
            return (*cell[:2], OTHERS)
        tally[sites] += 1
    return cell


def _count(
    cell: tuple[str, str, str], text: str, tally: collections.Counter, words: np.ndarray
) -> bool:
    tally[("documents", *cell)] += 1
    tally[("characters", *cell)] += len(text)
    sampled = ("counted", cell[0], cell[2])
    if tally[sampled] >= vocabulary.PER_SOURCE:
        return False
    tally[sampled] += len(text)
    vocabulary.count(words, text)
    return True


def _valid(document: Document) -> Document:
    """The document with halves of surrogate pairs, which no file can hold, as U+FFFD."""
    texts = {name: getattr(document, name) for name in ("text", "id", "source", "place")}
    whole = {
        name: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        for name, text in texts.items()
    }
    return dataclasses.replace(document, **whole)
