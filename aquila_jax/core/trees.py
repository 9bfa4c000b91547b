"""Operations on whole trees of arrays."""

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import HOST_KIND


def rests_with_host(leaf) -> bool:
    """Whether an array lies in the memory of the hosts."""
    return isinstance(leaf, jax.Array) and leaf.sharding.memory_kind == HOST_KIND


def fingerprint(tree) -> jax.Array:
    """A uint32 over every bit of every leaf; the mesh does not change it.

    Leaves count in order, each as the sum of its words modulo 2^32: any one flipped bit
    changes it. Leaves must be of 1, 2 or 4 bytes an element.
    """
    return _fingerprint(jax.tree.map(_visited, tree))


@jax.jit
def _fingerprint(tree) -> jax.Array:
    total = jnp.uint32(0)
    for leaf in jax.tree.leaves(tree):
        total = total * jnp.uint32(1_000_003) + _sum(leaf)
    return total


def _visited(leaf):
    """What rests with the hosts, as its sum, which counts alike: a host takes long to add it up.

    One such leaf at a time is on the devices, where there may not be room for all.
    """
    if not rests_with_host(leaf):
        return leaf
    here = jax.device_put(leaf, leaf.sharding.with_memory_kind("device"))
    return _sum(here).block_until_ready()


@jax.jit
def _sum(leaf: jax.Array) -> jax.Array:
    return jnp.sum(_words(leaf), dtype=jnp.uint32)


def _words(leaf: jax.Array) -> jax.Array:
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[leaf.dtype.itemsize]
    if leaf.dtype == jnp.bool_:
        return leaf.astype(jnp.uint32)
    return jax.lax.bitcast_convert_type(leaf, unsigned).astype(jnp.uint32)
