"""From a ledger and a cursor to batches: what the arithmetic says, read from the token store.

Which sequences a batch holds is decided by `ledger.lookup` alone. Grain reads ahead; it
decides nothing, and nothing depends on how many hosts or threads read.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, Literal

import grain
import numpy as np

from aquila_jax.core.signals import Batch
from aquila_jax.dmu import packing as packings
from aquila_jax.dmu.ledger import Ledger, lookup

SPLIT = "train"
READ_AHEAD = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)  # whole batches


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """The sequences of a token store: per domain, rows of `length` inputs and targets."""

    store: Any  # a TokenStore: `domains`, `offsets` and `gather` are used
    length: int
    packing: Literal["concat", "best_fit"] = "concat"

    @functools.cached_property
    def domains(self) -> tuple[str, ...]:
        """The names behind `Batch.domain_ids`."""
        return self.store.domains

    @functools.cached_property
    def index(self) -> packings.Index:
        """The packing of all domains."""
        offsets = [self.store.offsets(SPLIT, name) for name in self.domains]
        return packings.PACKINGS[self.packing](offsets, self.length)

    @property
    def sizes(self) -> dict[str, int]:
        """Sequences in an epoch of each domain; 0 if it has less text than one sequence."""
        return dict(zip(self.domains, self.index.rows.tolist(), strict=True))

    def batch(
        self, ledger: Ledger, first: int, shape: tuple[int, int], rows: np.ndarray | slice
    ) -> Batch:
        """The step whose first cursor is `first`, for one host: `[A, rows of B, L]` numpy.

        `shape` is (A, B) of all hosts together; row b of micro-batch a has cursor
        `first + a * B + b`. Integers are int32, the mask is float32.
        """
        cursors = first + np.arange(shape[0] * shape[1]).reshape(shape)[:, rows]
        found = lookup(ledger, cursors.ravel())
        domain = numbers(ledger.domains, self.domains)[found.domain]
        tokens = self.index.tokens(domain, found.index, self._gather)
        pieces = self.index.pieces(domain, found.index)
        domain_ids = np.repeat(domain[:, None].astype(np.int32), self.length, axis=1)
        fields = (*lay_out(tokens, pieces), domain_ids)
        return Batch(*(field.reshape(*cursors.shape, self.length) for field in fields))

    def sequences(self, domain: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Rows `index` of the packing of domains number `domain`: int32 `[n, L]` tokens."""
        return self.index.tokens(domain, index, self._gather)[:, : self.length]

    def batches(
        self,
        ledger: Ledger,
        first: int,
        shape: tuple[int, int],
        rows: np.ndarray | slice,
        *,
        steps: int,
    ) -> Iterator[Batch]:
        """`steps` batches from cursor `first` on, read ahead by threads.

        The threads end with the iterator: when it is exhausted, closed or dropped.
        """
        source = _Steps(
            stream=self, ledger=ledger, first=first, shape=shape, rows=rows, steps=steps
        )
        iterator = iter(grain.MapDataset.source(source).to_iter_dataset(READ_AHEAD))
        return _closing(iterator)

    def _gather(self, domain: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        return self.store.gather(SPLIT, domain, starts, length=length)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Steps:
    """The random-access source that Grain asks: element i is the batch of the i-th step."""

    stream: Stream
    ledger: Ledger
    first: int
    shape: tuple[int, int]
    rows: np.ndarray | slice
    steps: int

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        first = self.first + step * self.shape[0] * self.shape[1]
        return self.stream.batch(self.ledger, first, self.shape, self.rows)


@functools.lru_cache(maxsize=16)
def numbers(names: tuple[str, ...], known: tuple[str, ...]) -> np.ndarray:
    """The place in `known`, the store's domains, of each of the ledger's `names`."""
    place = {name: number for number, name in enumerate(known)}
    if missing := [name for name in names if name not in place]:
        raise ValueError(
            f"domains {missing} of the ledger are not in the token store, which has "
            f"{list(known)}; prepare them, or open the store of this run."
        )
    return np.array([place[name] for name in names])


def _closing(iterator) -> Iterator[Batch]:
    """Hands on what `iterator` gives and closes it in any case."""
    with contextlib.closing(iterator):
        yield from iterator


def lay_out(tokens: np.ndarray, pieces: packings.Pieces) -> tuple[np.ndarray, ...]:
    """Tokens, targets, segment ids, positions and loss mask, `[n, L]`, of rows of `L + 1` tokens."""
    column = np.arange(tokens.shape[1], dtype=np.int32)
    segments = np.zeros(tokens.shape, np.int32)
    segments[pieces.row, pieces.column] = 1
    begin = np.maximum.accumulate(column * segments, axis=1)
    np.cumsum(segments, axis=1, out=segments)
    positions = column - begin
    used = np.bincount(pieces.row, weights=pieces.length)
    if (padded := used < len(column)).any():
        past = padded[:, None] & (column >= used[:, None])
        segments[past] = positions[past] = 0
    same = (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] > 0)
    fields = tokens[:, :-1], tokens[:, 1:], segments[:, :-1], positions[:, :-1]
    return (*fields, same.astype(np.float32))
