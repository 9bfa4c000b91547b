"""What is written is read back, in any pieces, and damage is never read as data."""

import hashlib
import pathlib

import numpy as np
import pytest
import tensorstore as ts

from aquila_jax.dmu.arrays import SHARD_BYTES, hash_array, open_array, raw_pieces, rechunk
from aquila_jax.dmu.arrays import write_array as write

CONTEXT = ts.Context({"cache_pool": {"total_bytes_limit": 0}})


def test_blocks_are_the_same_numbers_in_equal_lengths():
    rng = np.random.default_rng(0)
    for size in (1, 3, 10, 1000):
        numbers = rng.integers(0, 9, 321)
        cuts = np.sort(rng.integers(0, 321, 12))
        blocks = list(rechunk(np.split(numbers, cuts), size))
        np.testing.assert_array_equal(np.concatenate(blocks), numbers)
        assert {len(block) for block in blocks[:-1]} <= {size} and 0 < len(blocks[-1]) <= size
    assert list(rechunk([], 3)) == []


@pytest.mark.parametrize(
    "dtype, size",
    [("uint8", 70_000), ("uint16", SHARD_BYTES // 2 + 999), ("uint32", 9), ("int64", 50_000)],
)
def test_an_array_comes_back_also_from_several_shards(tmp_path, dtype, size):
    numbers = np.arange(size).astype(dtype)
    digest = write(str(tmp_path / "a"), dtype, size, np.array_split(numbers, 7))
    assert digest == hashlib.sha256(numbers.tobytes()).hexdigest()
    array = open_array(str(tmp_path / "a"), CONTEXT)
    np.testing.assert_array_equal(array.read().result(), numbers)
    assert hash_array(array) == digest
    shards = -(-numbers.nbytes // SHARD_BYTES)
    assert len(list((tmp_path / "a" / "c").iterdir())) == shards


def test_writing_again_gives_the_same_files_and_forgets_what_was_there(tmp_path):
    numbers = np.arange(100_000, dtype=np.uint16)

    def files():
        return {p.name: p.read_bytes() for p in pathlib.Path(tmp_path).rglob("*") if p.is_file()}

    write(str(tmp_path / "a"), "uint16", 100_000, [numbers])
    first = files()
    write(str(tmp_path / "a"), "uint16", 200_000, [np.ones(200_000, np.uint16)])
    write(str(tmp_path / "a"), "uint16", 100_000, np.array_split(numbers, 3))
    assert files() == first


def test_a_flipped_bit_is_an_error_not_a_number(tmp_path):
    write(str(tmp_path / "a"), "uint16", 50_000, [np.arange(50_000, dtype=np.uint16)])
    (shard,) = (tmp_path / "a" / "c").iterdir()
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="Digest mismatch"):
        open_array(str(tmp_path / "a"), CONTEXT).read().result()


def test_no_array_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="nothing is not a readable array"):
        open_array(str(tmp_path / "nothing"), CONTEXT)


def test_raw_files_are_read_in_pieces(tmp_path):
    numbers = np.arange(3_000_000, dtype="<i8")
    (tmp_path / "raw").write_bytes(numbers.tobytes())
    pieces = list(raw_pieces(str(tmp_path / "raw"), "int64"))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), numbers)
