"""Candidates of MinHash checked by their true similarity, and joined into clusters."""

import functools
import pathlib

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from aquila_jax.dmu.clean import duplicates


def candidates(folder: str) -> np.ndarray:
    """uint64 [P, 2] distinct pairs (shard << 32 | document), the earlier first, of all buckets."""
    pairs = np.zeros((0, 2), np.uint64)
    for file in sorted(pathlib.Path(folder).glob("*.dups")):
        rows = np.fromfile(file, duplicates.CANDIDATE)
        shift = np.uint64(32)
        left = rows["left_shard"].astype(np.uint64) << shift | rows["left"]
        right = rows["right_shard"].astype(np.uint64) << shift | rows["right"]
        new = np.stack([np.minimum(left, right), np.maximum(left, right)], axis=1)
        pairs = np.unique(np.concatenate([pairs, new]), axis=0)
    return pairs


def verified(pairs: np.ndarray, sketches: str, least: float) -> np.ndarray:
    """Those pairs whose Jaccard similarity is at least `least`; two shards are open at a time."""
    shards = functools.lru_cache(2)(lambda rank: duplicates.read_sketches(sketches, rank))

    def load(key: int) -> duplicates.Sketch:
        return duplicates.sketch_of(shards(key >> 32), key & 0xFFFFFFFF)

    left, right = (pairs >> np.uint64(32)).T
    order = np.lexsort((right, left))  # so that each two shards meet once
    rows = (
        row.tolist() for row in pairs[order]
    )  # a list of all takes ten times the array's memory
    similar = (duplicates.similarity(load(a), load(b)) >= least for a, b in rows)
    near = np.zeros(len(pairs), bool)
    near[order] = np.fromiter(similar, bool, len(pairs))
    return pairs[near]


def join(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Documents [D] in any pair, sorted, and the cluster of each [D], numbered by first member."""
    members, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    graph = sparse.coo_array(
        (np.ones(len(pairs), np.int8), (places[:, 0], places[:, 1])), shape=(len(members),) * 2
    )
    _, labels = csgraph.connected_components(graph, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return members, np.argsort(np.argsort(first))[inverse]


def write(members: np.ndarray, labels: np.ndarray, folder: str, shards: int) -> None:
    """What datatrove's MinhashDedupFilter reads: all but the first of each cluster go."""
    place = pathlib.Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    _, first = np.unique(labels, return_index=True)
    removed = np.ones(len(members), bool)
    removed[first] = False
    number = (members & np.uint64(0xFFFFFFFF)).astype("<u4")
    # Members are sorted: those of a shard stand together.
    ends = np.searchsorted(members >> np.uint64(32), np.arange(shards + 1, dtype=np.uint64))
    for rank in range(shards):
        here = slice(ends[rank], ends[rank + 1])
        number[here][removed[here]].tofile(place / f"{rank:06d}.remove")
        np.stack([number[here], labels[here].astype("<u4")], axis=1).tofile(
            place / f"{rank:06d}.clusters"
        )


def step(
    _data: None,
    _rank: int,
    _world: int,
    *,
    pairs: str,
    sketches: str,
    out: str,
    shards: int,
    least: float,
) -> None:
    """A datatrove step for one task, in the place of its MinhashDedupCluster."""
    members, labels = join(verified(candidates(pairs), sketches, least))
    write(members, labels, out, shards)
