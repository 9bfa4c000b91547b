"""Norms of weights, gradients and updates by layer: every leaf under `blocks` is `[N, ...]`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import spec
from aquila_jax.core.signals import PARAMETER_TYPES
from aquila_jax.model.transformer import Block, Transformer


class Squares(NamedTuple):
    """Sums of squares over each weight of a model, of each layer apart.

    All norms follow from them, so that a tree as large as the model is read once.
    """

    blocks: Block  # every leaf [N]
    rest: dict[str, jax.Array]  # every value [1]: what is there once


def squares(model: Transformer) -> Squares:
    """Of the model, or of anything with its shape."""
    once = ("embed", "final_norm", "unembed")
    rest = {name: _of_each_layer(getattr(model, name)[...][None]) for name in once}
    return Squares(jax.tree.map(_of_each_layer, model.blocks), rest)


def changes(before: Transformer, after: Transformer) -> tuple[Squares, Squares]:
    """Those of `after - before` and those of `before`."""
    return squares(jax.tree.map(jnp.subtract, after, before)), squares(before)


def global_norm(squares: Squares) -> jax.Array:
    """The norm of everything."""
    return jnp.sqrt(jnp.sum(by_layer(squares)) + sum(map(jnp.sum, squares.rest.values())))


def by_layer(squares: Squares) -> jax.Array:
    """`[N]`: over all weights of each layer.

    The global norm is taken from these: XLA makes one sum of a sum of sums, and would read
    every weight once more for it.
    """
    return sum(jax.tree.leaves(squares.blocks))


def norm(squares: Squares) -> jax.Array:
    """`[N]`: the norm of each layer."""
    return jnp.sqrt(by_layer(squares))


def rms(squares: Squares, blocks: Block) -> jax.Array:
    """`[N]`: the root mean square over each layer's numbers, which are as many as in `blocks`."""
    count = sum(leaf[0].size for leaf in jax.tree.leaves(blocks))
    return norm(squares) / count**0.5


def median_ratio(updates: Squares, weights: Squares) -> jax.Array:
    """The median over all matrices of rms(update) / rms(weight): the effective learning rate."""
    ratios = jax.tree.map(jnp.divide, _matrices(updates), _matrices(weights))
    return jnp.sqrt(jnp.median(jnp.concatenate(ratios)))


def by_type(blocks: Block) -> dict[str, jax.Array]:
    """The stacked weights under the names of `PARAMETER_TYPES`."""
    attention, mlp = blocks.attention, blocks.mlp
    weights = (attention.query, attention.key, attention.value, attention.out)
    weights += (mlp.gate, mlp.up, mlp.down, blocks.attention_norm, blocks.mlp_norm)
    return dict(zip(PARAMETER_TYPES, (weight[...] for weight in weights), strict=True))


def std_by_type(blocks: Block) -> jax.Array:
    """`[P, N]`: the standard deviation of each weight (arXiv 2408.07410, section 3.2.3)."""
    return jnp.stack([jnp.std(x, axis=tuple(range(1, x.ndim))) for x in by_type(blocks).values()])


def _matrices(squares: Squares) -> list[jax.Array]:
    """Those of the matrices; embedding and head count as one layer each."""
    named = by_type(squares.blocks) | squares.rest
    return [value for name, value in named.items() if not name.endswith("norm")]


def _of_each_layer(leaf: jax.Array) -> jax.Array:
    """`[N, ...]` to `[N]`, as a product of the weight with itself.

    XLA takes that in vectors on a CPU, where a plain sum goes number by number, and in one pass on
    a TPU, where a sum over the last axis was copied first.
    """
    axes = list(range(leaf.ndim))
    return jnp.einsum(
        leaf, axes, leaf, axes, [0],
        precision="highest", preferred_element_type=jnp.float32, out_sharding=spec("N"),
    )  # fmt: skip
