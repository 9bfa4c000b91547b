"""What is written is read back, in any pieces, and damage is never read as data."""

import hashlib

import numpy as np
import pytest

from aquila_jax.dmu.arrays import (
    collect,
    hash_array,
    open_array,
    open_numbers,
    raw_pieces,
    rechunk,
    request,
    write_array,
)

SHARD = 1 << 17


def test_blocks_are_the_same_numbers_in_equal_lengths():
    rng = np.random.default_rng(0)
    for size in (1, 3, 10, 1000):
        numbers = rng.integers(0, 9, 321)
        cuts = np.sort(rng.integers(0, 321, 12))
        blocks = list(rechunk(np.split(numbers, cuts), size))
        np.testing.assert_array_equal(np.concatenate(blocks), numbers)
        assert {len(block) for block in blocks[:-1]} <= {size} and 0 < len(blocks[-1]) <= size
    assert list(rechunk([], 3)) == []


SIZES = {"one file": 70_000, "many": 3 * SHARD + 5, "exactly": 2 * SHARD, "few": 3}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_array_comes_back_from_as_many_files_as_it_needs(tmp_path, dtype, size):
    numbers = np.random.default_rng(0).integers(0, 200, size).astype(dtype)
    shard_bytes = SHARD * numbers.itemsize
    folder = str(tmp_path / "a")
    pieces = np.array_split(numbers, 7)
    digest = write_array(folder, dtype, size, pieces, shard_bytes=shard_bytes)
    assert digest == hashlib.sha256(numbers.tobytes()).hexdigest()
    array = open_array(folder)
    np.testing.assert_array_equal(array.read().result(), numbers)
    assert hash_array(array) == digest
    assert len(list((tmp_path / "a" / "c").iterdir())) == -(-size // SHARD)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64"])
def test_spans_are_slices_also_across_files_and_past_the_end(tmp_path, dtype):
    numbers = np.random.default_rng(0).integers(0, 60_000, 1000).astype(dtype)
    folder, width = str(tmp_path / "a"), np.dtype(dtype).itemsize
    write_array(folder, dtype, 1000, [numbers], shard_bytes=96 * width)
    opened = open_numbers(folder)
    assert (opened.size, opened.dtype) == (1000, dtype)
    for begin in range(0, 1001, 7):
        for length in (0, 1, 96, 300, 2000):
            span = collect(opened, request(opened, begin, length))
            np.testing.assert_array_equal(span, numbers[begin : begin + length])


def test_writing_again_gives_the_same_files_and_forgets_what_was_there(tmp_path):
    numbers, text = np.arange(100_000, dtype=np.uint16), np.arange(300_000).astype(np.uint8)

    def write(count, pieces):
        write_array(str(tmp_path / "a"), "uint16", count, pieces)
        write_array(str(tmp_path / "b"), "uint8", len(text), np.array_split(text, pieces[0][0] + 1))
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    first = write(100_000, [numbers])
    assert write(200_000, [np.ones(200_000, np.uint16)]) != first
    assert write(100_000, np.array_split(numbers, 3)) == first


def test_a_file_that_is_cut_off_or_gone_is_an_error_not_a_number(tmp_path):
    write_array(str(tmp_path / "a"), "uint16", 50_000, [np.arange(50_000, dtype=np.uint16)])
    (file,) = (tmp_path / "a" / "c").iterdir()
    file.write_bytes(file.read_bytes()[:-10])
    opened = open_numbers(str(tmp_path / "a"))
    with pytest.raises(ValueError, match="OUT_OF_RANGE"):
        collect(opened, request(opened, 49_000, 1000))
    file.unlink()
    with pytest.raises(ValueError, match="a file of .* is missing"):
        collect(opened, request(opened, 0, 10))


def test_no_array_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="nothing is not a readable array"):
        open_array(str(tmp_path / "nothing"))


def test_raw_files_are_read_in_pieces(tmp_path):
    numbers = np.arange(3_000_000, dtype="<i8")
    (tmp_path / "raw").write_bytes(numbers.tobytes())
    pieces = list(raw_pieces(str(tmp_path / "raw"), "int64"))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), numbers)
