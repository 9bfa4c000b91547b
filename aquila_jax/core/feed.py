"""From the stream to the devices: each process reads the rows its own devices hold."""

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from aquila_jax.core.sharding import ACTIVATIONS
from aquila_jax.core.signals import Batch

_LAYOUT = PartitionSpec(None, ACTIVATIONS["B"], ACTIVATIONS["L"])


def local_rows(mesh: jax.sharding.Mesh, shape: tuple[int, int, int]) -> np.ndarray:
    """The rows of the B axis of `[A, B, L]` that this process must read, sorted.

    On a torus they need not lie side by side: a host has a block of it.
    """
    sharding = NamedSharding(mesh, _LAYOUT)
    shards = mesh.shape["data"] * mesh.shape["fsdp"]
    if shape[1] % shards or shape[2] % mesh.shape["context"]:
        raise ValueError(
            f"a micro-batch of {shape[1]} sequences of {shape[2]} tokens must divide by "
            f"data*fsdp={shards} and context={mesh.shape['context']}; change train.batch, "
            "train.accumulate or train.mesh."
        )
    held = [np.arange(shape[1])[index[1]] for index in _indices(sharding, shape)]
    return np.unique(np.concatenate(held))


def put(batch: Batch, mesh: jax.sharding.Mesh, rows: int) -> Batch:
    """Host rows `[A, B_local, L]` as global arrays `[A, B, L]`, B = `rows`."""
    sharding = NamedSharding(mesh, _LAYOUT)

    def one(local: np.ndarray) -> jax.Array:
        shape = (local.shape[0], rows, local.shape[2])
        return jax.make_array_from_process_local_data(sharding, local, shape)

    return Batch(*map(one, batch))


def _indices(sharding: NamedSharding, shape: tuple[int, ...]):
    return sharding.addressable_devices_indices_map(shape).values()
