"""The batches of a run, in order, read ahead; another ledger or batch size begins anew."""

from aquila_jax.core.signals import Batch
from aquila_jax.train import cycle
from aquila_jax.train.cycle import Machine
from aquila_jax.train.host import HostState


class Batches:
    """What this process reads of each batch; close it when done."""

    def __init__(self, machine: Machine):
        self.machine, self.coming, self.source = machine, None, None

    def next(self, host: HostState) -> Batch:
        """Of the step that `host` stands before."""
        source = (host.ledger, host.batch)  # a ledger equals only itself
        if self.coming is None or source != self.source:
            self.close()
            left = -(-(self.machine.config.schedule.total - host.sequences) // host.batch)
            self.coming = self.machine.stream.batches(
                host.ledger,
                host.sequences,
                cycle.shape(self.machine, host),
                cycle.rows(self.machine, host),
                steps=left,
            )
            self.source = source
        return next(self.coming)

    def close(self) -> None:
        """Ends the reading ahead."""
        if self.coming is not None:
            self.coming.close()
            self.coming = None
