"""Operations on whole trees of arrays."""

import jax
import jax.numpy as jnp


@jax.jit
def fingerprint(tree) -> jax.Array:
    """A uint32 over every bit of every leaf; the mesh does not change it.

    Leaves count in order, each as the sum of its words modulo 2^32: any one flipped bit
    changes it. Leaves must be of 1, 2 or 4 bytes an element.
    """
    total = jnp.uint32(0)
    for leaf in jax.tree.leaves(tree):
        total = total * jnp.uint32(1_000_003) + jnp.sum(_words(leaf), dtype=jnp.uint32)
    return total


def _words(leaf: jax.Array) -> jax.Array:
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[leaf.dtype.itemsize]
    if leaf.dtype == jnp.bool_:
        return leaf.astype(jnp.uint32)
    return jax.lax.bitcast_convert_type(leaf, unsigned).astype(jnp.uint32)
