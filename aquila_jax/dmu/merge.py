"""Parts of many source files joined into one domain of a token store."""

from collections.abc import Iterator, Sequence

import numpy as np

from aquila_jax.dmu import places
from aquila_jax.dmu.arrays import raw_pieces, write_array
from aquila_jax.dmu.manifest import DomainInfo, Split
from aquila_jax.dmu.parts import Counts, Part, token_type
from aquila_jax.dmu.store import combine


def merge_domain(
    folder: str, split: Split, parts: Sequence[Part], *, vocab_size: int
) -> DomainInfo:
    """Writes SPLIT/DOMAIN of the store in `folder`, a shard in memory at a time."""
    source = parts[0].reading.source
    counts = [part.counts(split) for part in parts]
    dtype = token_type(vocab_size)
    documents, tokens = _sum(counts, "documents"), _sum(counts, "tokens")

    def pieces(name: str, kind: str) -> Iterator[np.ndarray]:
        for part in parts:
            yield from raw_pieces(part.file(split, name), kind)

    target = places.join(folder, split, source.name)
    ragged = (("tokens", dtype, tokens), ("provenance", "uint8", _sum(counts, "provenance")))
    lengths = {"tokens": "lengths", "provenance": "provenance_lengths"}
    offsets = {"tokens": "offsets", "provenance": "provenance_offsets"}
    digests = []
    for name, kind, size in ragged:
        digests.append(write_array(places.join(target, name), kind, size, pieces(name, kind)))
        ends = _cumulate(pieces(lengths[name], "int64"))
        place = places.join(target, offsets[name])
        digests.append(write_array(place, "int64", documents + 1, ends))
    return DomainInfo(
        name=source.name,
        language=source.language,
        documents=documents,
        tokens=tokens,
        bytes=_sum(counts, "bytes"),
        characters=_sum(counts, "characters"),
        sha256=combine(digests),
    )


def _sum(counts: Sequence[Counts], name: str) -> int:
    return sum(getattr(count, name) for count in counts)


def _cumulate(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Offsets, from 0, of things of these lengths."""
    end = np.zeros(1, np.int64)
    yield end
    for lengths in pieces:
        ends = end + np.cumsum(lengths)
        yield ends
        end = ends[-1:]
