"""A merged domain is its parts, one after the other, whatever their sizes."""

import hashlib

import numpy as np

from aquila_jax.dmu.arrays import open_array
from aquila_jax.dmu.merge import merge_domain
from aquila_jax.dmu.parts import Counts, Part
from aquila_jax.dmu.source_files import Reading, SourceFile
from aquila_jax.dmu.store import hash_domain

SOURCE = SourceFile(
    file="f", content="c", size=1, name="x", language="en", split="train", heldout=0.0,
    text_field="text", place_field="",
)  # fmt: skip


def make(folder, index: int, lengths, rng) -> tuple[Part, np.ndarray]:
    tokens = rng.integers(0, 70_000, sum(lengths)).astype("<u4")
    prefix = folder / str(index)
    provenance = b'{"id": 1}\n' * len(lengths)
    files = {
        "tokens": tokens.tobytes(),
        "lengths": np.array(lengths, "<i8").tobytes(),
        "provenance": provenance,
        "provenance_lengths": np.full(len(lengths), 10, "<i8").tobytes(),
    }
    for name, content in files.items():
        (folder / f"{index}.train.{name}").write_bytes(content)
    reading = Reading(source=SOURCE, documents=len(lengths), flaws=0, first_flaws=())
    counts = Counts(
        documents=len(lengths), tokens=len(tokens), bytes=10 * index, characters=index,
        provenance=len(provenance),
    )  # fmt: skip
    return Part(prefix=str(prefix), reading=reading, train=counts, heldout=Counts()), tokens


def test_parts_of_any_size_also_empty_ones_become_one_domain(tmp_path):
    rng = np.random.default_rng(0)
    lengths = [[3, 1, 4], [], [1], list(rng.integers(1, 99, 500))]
    parts, tokens = zip(*(make(tmp_path, i, some, rng) for i, some in enumerate(lengths)))
    info = merge_domain(str(tmp_path / "s"), "train", parts, vocab_size=70_000)
    assert (info.documents, info.bytes, info.characters) == (504, 60, 6)

    def stored(name):
        return open_array(str(tmp_path / "s/train/x" / name)).read().result()

    np.testing.assert_array_equal(stored("tokens"), np.concatenate(tokens))
    ends = np.cumsum([0, *(n for some in lengths for n in some)])
    np.testing.assert_array_equal(stored("offsets"), ends)
    np.testing.assert_array_equal(stored("provenance_offsets"), 10 * np.arange(505))
    assert info.tokens == ends[-1] and stored("tokens").dtype == np.uint32
    assert info.sha256 == hash_domain(str(tmp_path / "s"), "train", "x")
    first = hashlib.sha256(np.concatenate(tokens).tobytes()).hexdigest()
    other = merge_domain(str(tmp_path / "s2"), "train", parts[:1], vocab_size=70_000)
    assert first != info.sha256 != other.sha256
