"""A batch of sequences as one row of tokens and back, without moving anything between devices."""

import jax

from aquila_jax.core.sharding import ACTIVATIONS, spec

ROWS = ACTIVATIONS | {"T": (*ACTIVATIONS["B"], ACTIVATIONS["L"])}  # T: all tokens of a batch


def join_tokens(x_BL: jax.Array, rest: str = "") -> jax.Array:
    """`[B, L, ...]` to `[T, ...]`, whose further axes are the letters of `rest`.

    The tokens are ordered device by device, so the order depends on the mesh: it is for sums
    over tokens, and for what `split_tokens` takes apart again. With one axis of tokens, XLA's
    CPU products read a transposed operand as it is, where they would copy one with two.
    """
    B, L, *sizes = x_BL.shape
    rows, columns = shards()
    x = jax.lax.reshape(
        x_BL, (rows, B // rows, columns, L // columns, *sizes), out_sharding=spec(f"B_L_{rest}")
    )
    return jax.lax.reshape(x.swapaxes(1, 2), (B * L, *sizes), out_sharding=spec(f"T{rest}", ROWS))


def split_tokens(x_T: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """`[T]` back to `[B, L]`."""
    B, L = shape
    rows, columns = shards()
    x = jax.lax.reshape(x_T, (rows, columns, B // rows, L // columns), out_sharding=spec("BL__"))
    return jax.lax.reshape(x.swapaxes(1, 2), shape, out_sharding=spec("BL"))


def shards() -> tuple[int, int]:
    """Into how many parts the mesh in force cuts a batch, and each sequence."""
    size = jax.sharding.get_abstract_mesh().shape
    rows, columns = 1, size[ACTIVATIONS["L"]]
    for axis in ACTIVATIONS["B"]:
        rows *= size[axis]
    return rows, columns
