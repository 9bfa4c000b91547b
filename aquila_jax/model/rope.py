"""Rotary positions in Hugging Face's layout: the first half of a head turns with the second."""

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import spec


def rope_table(positions_BL: jax.Array, head_dim: int, base: float) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine `[B, L, 1, K/2]` in float32 (RoFormer, arXiv 2104.09864, equation 15).

    Rows of a constant table, since XLA would compute sines again in each layer and head.
    Positions must be less than L; others give NaN.
    """
    pair = jnp.arange(head_dim // 2, dtype=jnp.float32)
    frequency = base ** (-2 * pair / head_dim)
    position = jnp.arange(positions_BL.shape[1], dtype=jnp.float32)
    angle = position[:, None] * frequency[None]
    pick = {"mode": "fill", "fill_value": jnp.nan, "out_sharding": spec("BL__")}
    index = positions_BL[:, :, None]
    return jnp.cos(angle).at[index].get(**pick), jnp.sin(angle).at[index].get(**pick)


@jax.custom_vjp
def rotate(x_BLHK: jax.Array, table: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Turns each pair `(x[i], x[i + K/2])` by its angle, in float32, and casts to x's type.

    The gradient turns back; the automatic one would pad and add halves.
    """
    cos, sin = table
    first, second = jnp.split(x_BLHK.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x_BLHK.dtype)


def rotate_forward(x_BLHK, table):
    """A turn is linear: it needs only the table again."""
    return rotate(x_BLHK, table), table


def rotate_backward(table, dy_BLHK):
    """Turns back; positions have no gradient."""
    cos, sin = table
    return rotate(dy_BLHK, (cos, -sin)), None


rotate.defvjp(rotate_forward, rotate_backward)
