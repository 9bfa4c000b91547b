"""Faults planted in a run from outside the product: in its data, or in the values of its steps."""

import numpy as np

from aquila_jax.dmu.stream import Stream
from launch.planting import looked_up


def mislabel(patch, first: int, last: int, target: int = 500) -> None:
    """Sequences with stream numbers [first, last) get labels that have nothing to do with them."""
    plain = Stream.batch

    def batch(self, ledger, begin, shape, rows):
        told = plain(self, ledger, begin, shape, rows)
        numbers, _ = looked_up(ledger, begin, shape, rows)
        bad = ((numbers >= first) & (numbers < last))[..., None]
        return told._replace(targets=np.where(bad, np.int32(target), told.targets))

    patch.setattr(Stream, "batch", batch)


def die(patch, first: int) -> None:
    """The process dies, once, when the sequence with that stream number is read."""
    plain, dead = Stream.batch, []

    def batch(self, ledger, begin, shape, rows):
        numbers, _ = looked_up(ledger, begin, shape, slice(None))
        if first in numbers and not dead:
            dead.append(first)
            raise Died
        return plain(self, ledger, begin, shape, rows)

    patch.setattr(Stream, "batch", batch)


def not_finite(patch, first: int, last: int) -> None:
    """Steps first to last report gradients that are not finite, the first time they are run."""
    from aquila_jax.train import cycle

    plain, seen = cycle.train_step, set()

    def train_step(program, state, batch, control, *, statistics):
        step = int(state.step) + 1
        if first <= step <= last and step not in seen:
            control = control._replace(z_loss=control.z_loss * np.float32(np.nan))
        seen.add(step)
        return plain(program, state, batch, control, statistics=statistics)

    patch.setattr(cycle, "train_step", train_step)


class Died(RuntimeError):
    """Stands in for the end of the process."""
