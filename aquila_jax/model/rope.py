"""Rotary positions in Hugging Face's layout: the first half of a head turns with the second."""

import jax
import jax.numpy as jnp


def rope_table(positions_BL: jax.Array, head_dim: int, base: float) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine `[B, L, 1, K/2]` in float32 (RoFormer, arXiv 2104.09864, equation 15)."""
    pair = jnp.arange(head_dim // 2, dtype=jnp.float32)
    frequency = base ** (-2 * pair / head_dim)
    angle = positions_BL[:, :, None, None].astype(jnp.float32) * frequency[None, None, None, :]
    return jnp.cos(angle), jnp.sin(angle)


def rotate(x_BLHK: jax.Array, table: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Turns each pair `(x[i], x[i + K/2])` by its angle, in float32."""
    cos, sin = table
    first, second = jnp.split(x_BLHK.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
