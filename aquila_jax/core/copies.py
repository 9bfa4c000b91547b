"""Arrays copied into this process's own memory, and arrays made of such copies again."""

from typing import NamedTuple

import jax
import numpy as np


class Copy(NamedTuple):
    """The parts of an array that this process holds, each once, by their place in the whole."""

    parts: dict[tuple, np.ndarray]
    shape: tuple[int, ...]
    sharding: jax.sharding.Sharding


def take(array: jax.Array) -> Copy:
    """Waits for what makes `array`."""
    parts: dict[tuple, np.ndarray] = {}
    for shard in array.addressable_shards:
        place = _place(shard.index, array.shape)
        if place not in parts:
            # A copy: numpy would else look into memory of the host that the next step is given.
            parts[place] = np.array(shard.data, copy=True)
    return Copy(parts, array.shape, array.sharding)


def put(copy: Copy) -> jax.Array:
    """Where the array was, also if that is the memory of the hosts."""
    where = copy.sharding.addressable_devices_indices_map(copy.shape)
    memory = copy.sharding.memory_kind  # moments of an offloaded optimiser lie with the host
    shards = [
        jax.device_put(
            copy.parts[_place(index, copy.shape)],
            jax.sharding.SingleDeviceSharding(device, memory_kind=memory),
        )
        for device, index in where.items()
    ]
    return jax.make_array_from_single_device_arrays(copy.shape, copy.sharding, shards)


def _place(index: tuple[slice, ...], shape: tuple[int, ...]) -> tuple:
    return tuple(part.indices(size) for part, size in zip(index, shape, strict=True))
