"""datatrove's MinHash and exact removal of duplicates, with signatures made by numpy."""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
from datatrove import data
from datatrove.pipeline import dedup
from datatrove.pipeline.dedup import exact_dedup

from aquila_jax.dmu.clean import tokens
from aquila_jax.dmu.clean.settings import Duplicates

ROWS_AT_ONCE = 2048  # shingles; bounds the memory of a signature to 2 MB
SKETCH = 2048  # shingles kept of a text, at most twice as many
PRIORITY = 65_535  # datatrove's largest


def content(document: data.Document) -> str:
    """What exact duplicates share: the text but for case and white space."""
    return " ".join(document.text.split()).casefold()


def earlier_first(document: data.Document) -> int:
    """Of equal documents the one of the earliest shard stays."""
    return max(1, PRIORITY - document.metadata["shard"])


EXACT = exact_dedup.ExactDedupConfig(content_getter=content, document_priority=earlier_first)


def minhash_config(settings: Duplicates) -> dedup.MinhashConfig:
    """datatrove's description of the signature."""
    return dedup.MinhashConfig(
        n_grams=settings.ngram,
        num_buckets=settings.buckets,
        hashes_per_bucket=settings.rows,
        seed=settings.seed,
    )


class Signature(dedup.MinhashDedupSignature):
    """datatrove's first stage with shingles and minima in numpy: 10 times as fast.

    One sequence of tokens serves both languages: words, and single Han characters.
    """

    def get_shingles(self, text: str) -> np.ndarray:
        return tokens.shingles(text, self.config.n_grams).reshape(-1, 1)

    def get_signature(self, shingles: np.ndarray) -> list[list[int]]:
        scale, shift = self.parameters
        scale = scale | np.uint64(1)  # odd: a permutation of the 64-bit integers
        least = np.full(self.num_hashes, np.iinfo(np.uint64).max)
        for start in range(0, len(shingles), ROWS_AT_ONCE):
            hashes = shingles[start : start + ROWS_AT_ONCE] * scale + shift
            np.minimum(least, hashes.min(0), out=least)
        # datatrove reads only below the Mersenne prime 2^61 - 1.
        return [part.tolist() for part in np.split(least >> np.uint64(4), self.config.num_buckets)]


@dataclasses.dataclass(frozen=True)
class Sketch:
    """A fixed part of a text's shingles, enough to tell its Jaccard similarity to another.

    Of a long text those hashes are kept whose first `level` bits are 0: with 2048 of them the
    similarity is exact to 0.01.
    """

    level: int
    hashes: np.ndarray  # uint32, sorted


def sketch(shingles: np.ndarray) -> Sketch:
    """The sketch of all shingles of a text."""
    level = max(0, (len(shingles) // SKETCH).bit_length() - 1) if len(shingles) else 0
    return Sketch(level, _at_level(np.unique((shingles >> np.uint64(32)).astype(np.uint32)), level))


def _at_level(hashes: np.ndarray, level: int) -> np.ndarray:
    return hashes[: np.searchsorted(hashes, np.uint64(1 << (32 - level)))]


def similarity(left: Sketch, right: Sketch) -> float:
    """Jaccard similarity of the texts."""
    level = max(left.level, right.level)
    return tokens.jaccard(_at_level(left.hashes, level), _at_level(right.hashes, level))


def write_sketches(
    documents: Iterator[data.Document], rank: int, _world: int, *, folder: str, ngram: int
) -> Iterator[data.Document]:
    """A datatrove step: passes documents on and keeps their sketches in files of shard `rank`."""
    levels, sizes, hashes = [], [], []
    for document in documents:
        made = sketch(tokens.shingles(document.text, ngram))
        levels.append(made.level)
        sizes.append(len(made.hashes))
        hashes.append(made.hashes)
        yield document
    place = pathlib.Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    ends = np.cumsum([0, *sizes]).astype(np.int64)
    np.save(place / f"{rank:05d}.levels.npy", np.array(levels, np.int64))
    np.save(place / f"{rank:05d}.ends.npy", ends)
    np.save(place / f"{rank:05d}.hashes.npy", np.concatenate([np.zeros(0, np.uint32), *hashes]))


def read_sketches(folder: str, rank: int) -> list[np.ndarray]:
    """levels [D], ends [D + 1] and hashes [H] of shard `rank`, the last left on disk."""
    place = pathlib.Path(folder)
    names = (("levels", None), ("ends", None), ("hashes", "r"))
    return [np.load(place / f"{rank:05d}.{name}.npy", mmap_mode=mode) for name, mode in names]


def sketch_of(shard: list[np.ndarray], document: int) -> Sketch:
    """The sketch of one document of a shard that was read."""
    levels, ends, hashes = shard
    return Sketch(int(levels[document]), hashes[ends[document] : ends[document + 1]])


CANDIDATE = np.dtype(
    [("left_shard", "<u4"), ("left", "<u4"), ("right_shard", "<u4"), ("right", "<u4")]
)
