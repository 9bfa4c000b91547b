"""One-dimensional TensorStore arrays: their layout on disk, writing whole, reading."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorstore as ts

from aquila_jax.dmu import places

# Measured for spans of 256 tokens at random (a core, page cache warm): chunks of 8k tokens in
# shards of 16M read as fast as any of 4k to 64k, with far fewer files than unsharded ones.
SHARD_BYTES = 1 << 25  # one file or object
_CHUNK_BYTES = 1 << 14  # read at a time
_PIECE_BYTES = 1 << 23


def write_array(folder: str, dtype: str, size: int, pieces: Iterable[np.ndarray]) -> str:
    """Writes `size` numbers that come in pieces of any length; the sha256 of their bytes."""
    array = ts.open(_spec(folder, dtype, size), create=True, delete_existing=True).result()
    digest, begin = hashlib.sha256(), 0
    # Whole shards, so that no file is ever read back to be written again.
    for block in rechunk(pieces, SHARD_BYTES // np.dtype(dtype).itemsize):
        block = np.ascontiguousarray(block, np.dtype(dtype).newbyteorder("<"))
        digest.update(block)
        array[begin : begin + len(block)].write(block).result()
        begin += len(block)
    assert begin == size, f"{folder}: {begin} numbers came, {size} were announced."
    return digest.hexdigest()


def open_array(folder: str, context: ts.Context) -> ts.TensorStore:
    """An array for reading; ValueError if there is none."""
    spec = {"driver": "zarr3", "kvstore": places.tensorstore_url(folder)}
    try:
        # A store never changes once it is whole: what is in the cache need not be checked.
        return ts.open(
            spec,
            context=context,
            read=True,
            recheck_cached_data="open",
            recheck_cached_metadata="open",
        ).result()
    except (ValueError, KeyError) as error:
        raise ValueError(f"{folder} is not a readable array ({error}).") from error


def hash_array(array: ts.TensorStore) -> str:
    """The sha256 of an array's bytes, read a shard at a time."""
    digest, step = hashlib.sha256(), SHARD_BYTES // array.dtype.numpy_dtype.itemsize
    for begin in range(0, array.size, step):
        digest.update(array[begin : min(begin + step, array.size)].read().result())
    return digest.hexdigest()


def raw_pieces(uri: str, dtype: str) -> Iterator[np.ndarray]:
    """The numbers of a raw little-endian file, piece by piece."""
    fs, path = places.filesystem(uri)
    with fs.open(path, "rb") as file:
        while content := file.read(_PIECE_BYTES):
            yield np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))


def rechunk(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same numbers in blocks of `size`, the last one shorter."""
    held, count = [], 0
    for piece in pieces:
        while len(piece):
            held.append(piece[: size - count])
            piece = piece[size - count :]
            count += len(held[-1])
            if count == size:
                yield np.concatenate(held)
                held, count = [], 0
    if held:
        yield np.concatenate(held)


def _spec(folder: str, dtype: str, size: int) -> dict[str, Any]:
    width = np.dtype(dtype).itemsize
    little = {"name": "bytes", "configuration": {"endian": "little"}} if width > 1 else "bytes"
    # Text compresses well, tokens do not; the check sum costs a tenth of a read's time and
    # turns silent damage into an error.
    chunk = [little, {"name": "zstd", "configuration": {"level": 3}}] if width == 1 else [little]
    sharding = {
        "chunk_shape": [_CHUNK_BYTES // width],
        "codecs": [*chunk, "crc32c"],
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, "crc32c"],
    }
    grid = {"chunk_shape": [SHARD_BYTES // width]}
    metadata = {
        "shape": [size],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": grid},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
    }
    return {"driver": "zarr3", "kvstore": places.tensorstore_url(folder), "metadata": metadata}
