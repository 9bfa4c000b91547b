"""The batches that come next, read ahead; opened anew where what they follow from changes."""

from aquila_jax.core.signals import Batch
from aquila_jax.train import cycle
from aquila_jax.train.cycle import Machine
from aquila_jax.train.host import HostState


class Reader:
    """One iterator at a time."""

    def __init__(self):
        self.batches, self.source = None, None

    def next(self, machine: Machine, host: HostState) -> Batch:
        """The batch of the next step, this process's rows of it."""
        source = machine.stream, host.ledger, host.batch
        if self.batches is None or source != self.source:
            self.close()
            left = -(-(machine.config.schedule.total - host.sequences) // host.batch)
            shape, rows = cycle.shape(machine, host), cycle.rows(machine, host)
            self.batches = machine.stream.batches(
                host.ledger, host.sequences, shape, rows, steps=left
            )
            self.source = source  # a ledger, like a stream, equals only itself
        return next(self.batches)

    def close(self) -> None:
        """Ends its threads."""
        if self.batches is not None:
            self.batches.close()
            self.batches = None
