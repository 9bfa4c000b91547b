"""How odd the tokens of a batch are, per domain, over all processes: measured where they are read."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from aquila_jax.core.sharding import ACTIVATIONS
from aquila_jax.core.signals import Batch
from aquila_jax.dmu.stream import Stream
from aquila_jax.tsm import tokens
from aquila_jax.tsm.tokens import Usual

SAMPLE, MOST = 64, 4096  # sequences of a domain, and of all


def usual(stream: Stream, vocab: int) -> Usual:
    """What sequences of the store look like, from some of each domain, evenly spaced.

    The store that the run began with sets the measure: what joins changes nothing for the others.
    """
    first = len(stream.domains) - len(set(stream.domains) & set(stream.store.elsewhere))
    each = max(2 * tokens.LEAST, min(SAMPLE, MOST // first))
    return tokens.usual([_rows(stream, name, each) for name in stream.domains], vocab, first=first)


def _rows(stream: Stream, name: str, count: int) -> np.ndarray:
    domain, size = stream.domains.index(name), stream.sizes[name]
    index = np.unique(np.linspace(0, size, count, endpoint=False).astype(int))[:size]
    return stream.sequences(np.full(len(index), domain), index)


def measure(usual: Usual, batch: Batch, mesh: jax.sharding.Mesh, rows: int) -> jax.Array:
    """`[M, FIELDS]` of host rows `[A, B_local, L]` of one domain each, B = `rows` in all."""
    accumulate, here, length = batch.tokens.shape
    domain_B = batch.domain_ids[..., 0].reshape(-1)
    odd_BC = tokens.oddity(usual, batch.tokens.reshape(-1, length), domain_B)
    local = np.concatenate((domain_B[:, None], odd_BC), axis=1, dtype=np.float32)
    layout = NamedSharding(mesh, PartitionSpec(None, ACTIVATIONS["B"], None))
    told_ABC = jax.make_array_from_process_local_data(
        layout, local.reshape(accumulate, here, -1), (accumulate, rows, local.shape[1])
    )
    return _by_domain(told_ABC, len(usual.mean_MS))


@functools.partial(jax.jit, static_argnums=1)
def _by_domain(told_ABC: jax.Array, domains: int) -> jax.Array:
    here_ABM = told_ABC[..., :1] == jnp.arange(domains, dtype=jnp.float32)[None, None]
    return jnp.sum(jnp.where(here_ABM[..., None], told_ABC[:, :, None, 1:], 0.0), axis=(0, 1))
