"""Recent moments of the run in host memory: each process keeps what its own devices hold."""

import collections
from typing import NamedTuple

import jax
import numpy as np

from aquila_jax.train.cycle import Moment


class _Kept(NamedTuple):
    """One array: the parts that this process holds, each once, by their place in the whole."""

    parts: dict[tuple, np.ndarray]
    shape: tuple[int, ...]
    sharding: jax.sharding.Sharding


class Ring:
    """The last `size` moments; device memory is not used for them."""

    def __init__(self, size: int):
        self.moments: collections.deque[Moment] = collections.deque(maxlen=size)

    def keep(self, moment: Moment) -> None:
        """Copies the devices' state to host memory; waits for the step that makes it."""
        self.forget_after(moment.host.step - 1)
        leaves, tree = jax.tree.flatten(moment.state)
        self.moments.append(moment._replace(state=(list(map(_keep, leaves)), tree)))

    def find(self, step: int) -> Moment | None:
        """The moment after `step`, with its state on the devices again, if it is still here."""
        for moment in self.moments:
            if moment.host.step == step:
                kept, tree = moment.state
                return moment._replace(state=jax.tree.unflatten(tree, map(_restore, kept)))
        return None

    def forget_after(self, step: int) -> None:
        """Drops moments later than `step`: of a timeline that was left."""
        kept = [moment for moment in self.moments if moment.host.step <= step]
        self.moments.clear()
        self.moments.extend(kept)


def _keep(leaf: jax.Array) -> _Kept:
    parts: dict[tuple, np.ndarray] = {}
    for shard in leaf.addressable_shards:
        place = _place(shard.index, leaf.shape)
        if place not in parts:
            # A copy: on a CPU numpy would look into memory that the next step is given.
            parts[place] = np.array(shard.data, copy=True)
    return _Kept(parts, leaf.shape, leaf.sharding)


def _restore(kept: _Kept) -> jax.Array:
    where = kept.sharding.addressable_devices_indices_map(kept.shape)
    memory = kept.sharding.memory_kind  # moments of an offloaded optimiser lie with the host
    shards = [
        jax.device_put(
            kept.parts[_place(index, kept.shape)],
            jax.sharding.SingleDeviceSharding(device, memory_kind=memory),
        )
        for device, index in where.items()
    ]
    return jax.make_array_from_single_device_arrays(kept.shape, kept.sharding, shards)


def _place(index: tuple[slice, ...], shape: tuple[int, ...]) -> tuple:
    return tuple(part.indices(size) for part, size in zip(index, shape, strict=True))
