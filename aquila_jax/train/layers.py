"""Norms of weights, gradients and updates by layer: every leaf under `blocks` is `[N, ...]`."""

import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp

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
    return _of_each_weight(_layer_squares, model)


def changes(before: Transformer, after: Transformer) -> tuple[Squares, Squares]:
    """Those of `after - before` and those of `before`, from reading both once."""
    both = _of_each_weight(_layer_changes, before, after)
    is_pair = lambda x: type(x) is tuple  # noqa: E731
    first, second = (jax.tree.map(operator.itemgetter(i), both, is_leaf=is_pair) for i in (0, 1))
    return first, second


def global_norm(squares: Squares) -> jax.Array:
    """The norm of everything."""
    return jnp.sqrt(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(squares)))


def norm(squares: Squares) -> jax.Array:
    """`[N]`: the norm of each layer."""
    return jnp.sqrt(sum(jax.tree.leaves(squares.blocks)))


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


def _of_each_weight(measure, *models) -> Squares:
    blocks = jax.tree.map(measure, *(model.blocks for model in models))
    once = ("embed", "final_norm", "unembed")
    rest = {n: measure(*(getattr(model, n)[...][None] for model in models)) for n in once}
    return Squares(blocks, rest)


def _layer_squares(leaf: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(leaf), axis=tuple(range(1, leaf.ndim)))


def _layer_changes(before: jax.Array, after: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One reduction of two operands: XLA on CPU would write out the squares for two of one."""
    zero = jnp.zeros((), before.dtype)
    squared = jnp.square(after - before), jnp.square(before)
    add = lambda x, y: (x[0] + y[0], x[1] + y[1])  # noqa: E731
    changed, were = jax.lax.reduce(squared, (zero, zero), add, (before.ndim - 1,))
    axes = tuple(range(1, changed.ndim))
    return jnp.sum(changed, axis=axes), jnp.sum(were, axis=axes)
