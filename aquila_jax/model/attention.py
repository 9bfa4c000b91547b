"""Attention between the tokens of one document: the one door to every backend."""

from typing import Literal

import jax

from aquila_jax.model import cudnn, splash
from aquila_jax.model.dense import dense_attention
from aquila_jax.model.ring import ring_attention
from aquila_jax.model.target import platform


def attention(
    q_BLHK: jax.Array,
    k_BLGK: jax.Array,
    v_BLGK: jax.Array,
    segment_ids_BL: jax.Array,
    *,
    backend: Literal["auto", "xla", "splash", "cudnn", "ring"],
) -> jax.Array:
    """`[B, L, H, K]`: each query sees its own segment up to itself; the caller scales queries.

    Segment 0 is padding, which sees only padding. All backends but "ring" gather the keys
    where `context` spreads them.
    """
    if backend == "auto":
        backend = fastest(q_BLHK)
    return BACKENDS[backend](q_BLHK, k_BLGK, v_BLGK, segment_ids_BL)


def fastest(q_BLHK: jax.Array) -> str:
    """The platform's own kernel where it takes such queries, else XLA."""
    _, L, _, K = q_BLHK.shape
    part = L // jax.sharding.get_abstract_mesh().shape["context"]
    if platform() == "tpu" and splash.fits(part, K):
        return "splash"
    if platform() == "gpu" and cudnn.fits(q_BLHK.dtype.name, K, part):
        return "cudnn"
    return "xla"


BACKENDS = {
    "xla": dense_attention,
    "splash": splash.splash_attention,
    "cudnn": cudnn.cudnn_attention,
    "ring": ring_attention,
}
