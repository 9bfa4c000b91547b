"""Statistics of stacked layers: every leaf under `blocks` is `[N, ...]`."""

import jax
import jax.numpy as jnp
import optax

from aquila_jax.core.signals import PARAMETER_TYPES
from aquila_jax.model.transformer import Block, Transformer


def square_sum(blocks: Block) -> jax.Array:
    """`[N]`: the sum of squares over all weights of a layer."""
    return sum(_sum(jnp.square(leaf)) for leaf in jax.tree.leaves(blocks))


def norm(blocks: Block) -> jax.Array:
    """`[N]`: the norm of each layer."""
    return jnp.sqrt(square_sum(blocks))


def global_norm(model: Transformer, norm_N: jax.Array) -> jax.Array:
    """The norm of everything; that of the layers is known, so that they are not read again."""
    rest = (model.embed, model.final_norm, model.unembed)
    return jnp.sqrt(jnp.sum(jnp.square(norm_N)) + optax.tree.norm(rest, squared=True))


def rms(blocks: Block) -> jax.Array:
    """`[N]`: the root mean square of each layer's weights."""
    count = sum(leaf[0].size for leaf in jax.tree.leaves(blocks))
    return jnp.sqrt(square_sum(blocks) / count)


def median_ratio(updates: Transformer, model: Transformer) -> jax.Array:
    """The median over all matrices of rms(update) / rms(weight): the effective learning rate."""
    ratios = jax.tree.map(
        lambda update, weight: _sum(jnp.square(update)) / _sum(jnp.square(weight)),
        _matrices(updates),
        _matrices(model),
    )
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


def _matrices(model: Transformer) -> list[jax.Array]:
    """Each matrix `[N, ...]`; embedding and head count as one layer each."""
    stacked = [leaf for leaf in by_type(model.blocks).values() if leaf.ndim > 2]
    return [*stacked, model.embed[...][None], model.unembed[...][None]]


def _sum(leaf: jax.Array) -> jax.Array:
    return jnp.sum(leaf, axis=tuple(range(1, leaf.ndim)))
