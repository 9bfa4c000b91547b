"""How a fault is planted around the product: where, and by wrapping what the loop calls."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from aquila_jax.config import Config
from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.stream import Stream

STRETCH = 0.05  # of the run: how long bad data goes on


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """Where a fault is planted."""

    config: Config
    workdir: pathlib.Path
    step: int  # the first bad one
    draw: np.random.Generator

    @property
    def steps(self) -> int:
        return self.config.schedule.total // self.config.train.batch

    @property
    def numbers(self) -> tuple[int, int]:
        """Stream numbers of the bad stretch."""
        batch = self.config.train.batch
        first = (self.step - 1) * batch
        return first, first + round(STRETCH * self.steps) * batch

    @property
    def domains(self) -> int:
        """How many domains the data have."""
        return len({source.name for source in self.config.prepare.sources})


def wrap(owner, name: str, make: Callable) -> None:
    """Replaces `owner.name` by `make` of it."""
    setattr(owner, name, make(getattr(owner, name)))


def looked_up(
    ledger: ledgers.Ledger, first: int, shape: tuple[int, int], rows: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Stream number and domain of each row of a batch `[A, rows of B]`, as `Stream.batch` has it."""
    cursors = first + np.arange(shape[0] * shape[1]).reshape(shape)[:, rows]
    found = ledgers.lookup(ledger, cursors.ravel())
    return found.sequence.reshape(cursors.shape), found.domain.reshape(cursors.shape)


def on_batches(change: Callable) -> None:
    """Every batch read becomes `change(batch, numbers, domains)`, both `[A, B]`."""

    def make(plain):
        def batch(self, ledger, first, shape, rows):  # noqa: PLR0917
            told = plain(self, ledger, first, shape, rows)
            return change(told, *looked_up(ledger, first, shape, rows))

        return batch

    wrap(Stream, "batch", make)
