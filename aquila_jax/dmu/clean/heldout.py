"""Copies of held-out documents inside training text: what is measured on must not be learned.

The same MinHash and the same true similarity as among training documents (`duplicates`); but only
the held-out documents are kept in memory, and of the two it is always the training one that goes.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from aquila_jax.dmu.clean import documents as docs
from aquila_jax.dmu.clean import duplicates, tokens
from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.clean.duplicates import Signature, Sketch
from aquila_jax.dmu.clean.settings import Duplicates
from aquila_jax.dmu.sources import Flaw, Source

PRIME, FIRST = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)  # of Fowler, Noll and Vo


@dataclasses.dataclass(frozen=True)
class Index:
    """All held-out documents, ready to be compared with."""

    names: tuple[str, ...]  # [H] domain and id
    sketches: tuple[Sketch, ...]  # [H]
    keys: np.ndarray  # uint64 [H * buckets] sorted
    owners: np.ndarray  # int64 [H * buckets] which document has the key
    signature: Signature


def build(documents: Iterable[Document | Flaw], limits: Duplicates) -> Index:
    """The index of the documents; empty ones and what could not be read have no copies."""
    signature = Signature("memory://", duplicates.minhash_config(limits))
    names, sketches, keys = [], [], [np.zeros(0, np.uint64)]
    for document in documents:
        if isinstance(document, Flaw) or not document.text.strip():
            continue
        shingles = tokens.shingles(document.text, limits.ngram)
        names.append(f"{document.domain}: {document.id}")
        sketches.append(duplicates.sketch(shingles))
        keys.append(_keys(signature, shingles))
    joined, owners = np.concatenate(keys), np.repeat(np.arange(len(names)), limits.buckets)
    order = np.argsort(joined, kind="stable")
    return Index(tuple(names), tuple(sketches), joined[order], owners[order], signature)


def of_sources(sources: Sequence[Source], limits: Duplicates) -> Index:
    """The index of everything in these sources."""
    return build(docs.from_sources(sources), limits)


def find(index: Index, text: str, limits: Duplicates) -> tuple[str, float] | None:
    """The held-out document that the text is most like, and how much; None for no copy."""
    if not index.names:
        return None
    shingles = tokens.shingles(text, limits.ngram)
    keys = _keys(index.signature, shingles)
    first, last = (np.searchsorted(index.keys, keys, side=side) for side in ("left", "right"))
    near = {int(owner) for a, b in zip(first, last, strict=True) for owner in index.owners[a:b]}
    if not near:
        return None
    own = duplicates.sketch(shingles)
    like = {owner: duplicates.similarity(own, index.sketches[owner]) for owner in sorted(near)}
    best = max(like, key=like.__getitem__)
    return (index.names[best], like[best]) if like[best] >= limits.jaccard else None


def _keys(signature: Signature, shingles: np.ndarray) -> np.ndarray:
    """One hash for each bucket `[buckets]`: of its number and its minima."""
    rows = np.array(signature.get_signature(shingles.reshape(-1, 1)), np.uint64)
    keys = FIRST + np.arange(len(rows), dtype=np.uint64)
    for column in rows.T:
        keys = (keys ^ column) * PRIME
    return keys
