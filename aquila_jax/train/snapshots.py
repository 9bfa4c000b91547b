"""Recent moments of the run in host memory: each process keeps what its own devices hold."""

import collections

import jax

from aquila_jax.core import copies
from aquila_jax.train.cycle import Moment


class Ring:
    """The last `size` moments; device memory is not used for them."""

    def __init__(self, size: int):
        self.moments: collections.deque[Moment] = collections.deque(maxlen=size)

    def keep(self, moment: Moment) -> None:
        """Copies the devices' state to host memory; waits for the step that makes it."""
        self.forget_after(moment.host.step - 1)
        leaves, tree = jax.tree.flatten(moment.state)
        self.moments.append(moment._replace(state=(list(map(copies.take, leaves)), tree)))

    def find(self, step: int) -> Moment | None:
        """The moment after `step`, with its state on the devices again, if it is still here."""
        for moment in self.moments:
            if moment.host.step == step:
                kept, tree = moment.state
                return moment._replace(state=jax.tree.unflatten(tree, map(copies.put, kept)))
        return None

    def forget_after(self, step: int) -> None:
        """Drops moments later than `step`: of a timeline that was left."""
        kept = [moment for moment in self.moments if moment.host.step <= step]
        self.moments.clear()
        self.moments.extend(kept)
