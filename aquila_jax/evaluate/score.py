"""Nats of given targets under a model, row by row: what every evaluation is made of."""

from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from aquila_jax.core import feed
from aquila_jax.core.signals import Batch
from aquila_jax.model.loss import nats
from aquila_jax.model.transformer import Transformer


def row_nats(model: Transformer, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """For each host batch `[1, B, L]`, the summed nats of the masked targets: float64 [B].

    The next batch is on its way to the devices while one is computed.
    """
    mesh = jax.sharding.get_mesh()
    waiting = None
    for batch in batches:
        given = batch.tokens.shape[1]
        empty = -given % (mesh.shape["data"] * mesh.shape["fsdp"])  # rows, so that all have alike
        batch = jax.tree.map(lambda x, n=empty: np.pad(x, ((0, 0), (0, n), (0, 0))), batch)
        rows = given + empty
        here = feed.local_rows(mesh, batch.tokens.shape)
        local = jax.tree.map(lambda x, here=here: x[:, here], batch)
        ahead = given, _nats(model, feed.put(local, mesh, rows))
        if waiting is not None:
            yield _on_host(*waiting)
        waiting = ahead
    if waiting is not None:
        yield _on_host(*waiting)


def _on_host(rows: int, nats_B: jax.Array) -> np.ndarray:
    return np.asarray(nats_B, np.float64)[:rows]


@jax.jit
def _nats(model: Transformer, batch: Batch) -> jax.Array:
    micro = jax.tree.map(lambda x: x[0], batch)
    nats_BL = jnp.where(micro.loss_mask > 0, nats(model, micro), 0.0)
    return jax.sharding.reshard(jnp.sum(nats_BL, axis=1), PartitionSpec())
