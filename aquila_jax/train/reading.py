"""Batches ahead of the run, begun anew whenever what they follow from has changed."""

from aquila_jax.core.signals import Batch
from aquila_jax.train import cycle
from aquila_jax.train.cycle import Machine
from aquila_jax.train.host import HostState


class Reader:
    """The next batch of a run; reads ahead in threads."""

    def __init__(self):
        self.batches, self.source = None, ()

    def next(self, machine: Machine, host: HostState) -> Batch:
        """The batch of the next step."""
        source = (machine.stream, host.ledger, host.batch)
        # A ledger, like a stream, equals only itself.
        if self.batches is None or source != self.source:
            self.close()
            left = -(-(machine.config.schedule.total - host.sequences) // host.batch)
            self.batches = machine.stream.batches(
                host.ledger,
                host.sequences,
                cycle.shape(machine, host),
                cycle.rows(machine, host),
                steps=left,
            )
            self.source = source
        return next(self.batches)

    def close(self) -> None:
        """Ends the threads."""
        if self.batches is not None:
            self.batches.close()
            self.batches = None
