import numpy as np

from aquila_jax.dmu.clean import clusters, duplicates

RANDOM = np.random.default_rng(0)


def key(shard, document):
    return shard << 32 | document


def write_pairs(folder, rows, name="00000_00.dups"):
    np.array(rows, duplicates.CANDIDATE).tofile(folder / name)


def test_pairs_of_all_buckets_once_and_earlier_first(tmp_path):
    write_pairs(tmp_path, [(0, 1, 0, 2), (1, 0, 0, 5)])
    write_pairs(tmp_path, [(0, 2, 0, 1)], "00001_00.dups")
    write_pairs(tmp_path, [], "00002_00.dups")
    assert clusters.candidates(str(tmp_path)).tolist() == [
        [key(0, 1), key(0, 2)],
        [key(0, 5), key(1, 0)],
    ]


def test_join_against_breadth_first_search():
    pairs = RANDOM.integers(0, 60, (40, 2)).astype(np.uint64)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    members, labels = clusters.join(pairs)
    label = dict(zip(members.tolist(), labels.tolist(), strict=True))
    neighbours = {}
    for a, b in pairs.tolist():
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    for start in neighbours:
        seen, todo = {start}, [start]
        while todo:
            new = neighbours[todo.pop()] - seen
            seen |= new
            todo += new
        assert {node for node in label if label[node] == label[start]} == seen
    order = [label[node] for node in sorted(label)]
    assert list(dict.fromkeys(order)) == list(range(max(order) + 1))  # numbered by first member


def test_only_pairs_that_are_similar_stay(tmp_path):
    shared = RANDOM.integers(0, 1 << 63, 500, dtype=np.uint64)
    other = RANDOM.integers(0, 1 << 63, 500, dtype=np.uint64)
    shingles = [shared, shared[:450], np.concatenate([shared[:100], other])]
    made = [duplicates.sketch(np.unique(one)) for one in shingles]
    np.save(tmp_path / "00000.levels.npy", np.array([one.level for one in made]))
    np.save(tmp_path / "00000.ends.npy", np.cumsum([0] + [len(one.hashes) for one in made]))
    np.save(tmp_path / "00000.hashes.npy", np.concatenate([one.hashes for one in made]))
    pairs = np.array([[0, 1], [0, 2], [1, 2]], np.uint64)
    assert clusters.verified(pairs, str(tmp_path), 0.8).tolist() == [[0, 1]]
    assert len(clusters.verified(pairs[:0], str(tmp_path), 0.8)) == 0


def test_each_two_shards_meet_once_and_pairs_keep_their_order(monkeypatch):
    opened = []
    monkeypatch.setattr(duplicates, "read_sketches", lambda _, rank: opened.append(rank) or rank)
    monkeypatch.setattr(duplicates, "sketch_of", lambda shard, document: document)
    monkeypatch.setattr(duplicates, "similarity", lambda a, b: float(a == b))
    pairs = [
        [key(a, n), key(b, n + n % 2)] for n in range(40) for a in range(3) for b in range(a, 3)
    ]
    near = clusters.verified(np.array(pairs, np.uint64), "", 0.5)
    assert near.tolist() == [[a, b] for a, b in pairs if a & 1 == 0]
    assert len(opened) <= 6


def test_all_but_the_first_are_removed(tmp_path):
    pairs = [[key(0, 3), key(1, 1)], [key(1, 1), key(1, 4)], [key(1, 0), key(1, 2)]]
    members, labels = clusters.join(np.array(pairs, np.uint64))
    clusters.write(members, labels, str(tmp_path), 3)
    removed = [np.fromfile(tmp_path / f"{rank:06d}.remove", "<u4").tolist() for rank in range(3)]
    assert removed == [[], [1, 2, 4], []]
    known = np.fromfile(tmp_path / "000001.clusters", "<u4").reshape(-1, 2).tolist()
    assert known == [[0, 1], [1, 0], [2, 1], [4, 0]]
