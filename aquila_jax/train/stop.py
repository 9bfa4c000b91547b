"""Being told to stop: SIGTERM or SIGINT becomes a step at which all processes save and leave."""

import signal

import jax
from jax.experimental import multihost_utils


class StopSignal:
    """While entered, SIGTERM and the first SIGINT only set a flag.

    Of several processes, JAX's own handler passes a SIGTERM on to all; a SIGINT becomes one.
    """

    def __init__(self):
        self.received = False

    def __enter__(self) -> "StopSignal":
        alone = jax.process_count() == 1
        kinds = (signal.SIGTERM, signal.SIGINT) if alone else (signal.SIGINT,)
        self.before = {kind: signal.signal(kind, self._receive) for kind in kinds}
        return self

    def __exit__(self, *_) -> None:
        for kind, handler in self.before.items():
            signal.signal(kind, handler)

    def agreed(self, step: int) -> bool:
        """Whether to stop after `step`; every process gets the same answer."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self.received

    def _receive(self, kind: int, frame) -> None:
        self.received = True
        if kind == signal.SIGINT and jax.process_count() > 1:
            signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one interrupts at once
