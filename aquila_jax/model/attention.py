"""Attention between the tokens of one document: the one door to every backend."""

from typing import Literal

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import ACTIVATIONS, spec

WHOLE = ACTIVATIONS | {"L": None}  # keys and values are read whole by each part of the queries


def attention(
    q_BLHK: jax.Array,
    k_BLGK: jax.Array,
    v_BLGK: jax.Array,
    segment_ids_BL: jax.Array,
    *,
    backend: Literal["xla"],
) -> jax.Array:
    """`[B, L, H, K]`: each query sees its own segment up to itself; the caller scales queries.

    Segment 0 is padding, which sees only padding.
    """
    return BACKENDS[backend](q_BLHK, k_BLGK, v_BLGK, segment_ids_BL)


def xla_attention(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """Plain batched matrix products, softmax in float32."""
    scores_BGRLM = masked_scores(q_BLHK, k_BLGK, segment_ids_BL)
    largest = jax.lax.stop_gradient(jnp.max(scores_BGRLM, axis=-1, keepdims=True))
    weights_BGRLM = jnp.exp(scores_BGRLM - largest)
    v_BGMK = jax.sharding.reshard(v_BLGK, spec("BLGK", WHOLE)).swapaxes(1, 2)
    y_BGRLK = jnp.einsum("BGRLM,BGMK->BGRLK", weights_BGRLM.astype(v_BLGK.dtype), v_BGMK)
    # Dividing after the product touches K and not M numbers per query.
    y_BGRLK = y_BGRLK / jnp.sum(weights_BGRLM, axis=-1, keepdims=True).astype(y_BGRLK.dtype)
    y_BLGRK = y_BGRLK.transpose(0, 3, 1, 2, 4)
    return jax.lax.reshape(y_BLGRK, q_BLHK.shape, out_sharding=spec("BLHK"))


def masked_scores(q_BLHK, k_BLGK, segment_ids_BL):
    """Scores `[B, G, H/G, L, L]` in float32, minus infinity where a query must not look."""
    B, L, H, K = q_BLHK.shape
    G = k_BLGK.shape[2]
    grouped = jax.lax.reshape(q_BLHK, (B, L, G, H // G, K), out_sharding=spec("BLG__"))
    k_BMGK = jax.sharding.reshard(k_BLGK, spec("BLGK", WHOLE))
    scores_BGRLM = jnp.einsum(
        "BLGRK,BMGK->BGRLM", grouped, k_BMGK, preferred_element_type=jnp.float32
    )
    mask_BLM = visible(segment_ids_BL)
    return jnp.where(mask_BLM[:, None, None], scores_BGRLM, -jnp.inf)


def visible(segment_ids_BL: jax.Array) -> jax.Array:
    """`[B, L, M]`: whether query L may look at key M."""
    L = segment_ids_BL.shape[1]
    keys_BM = jax.sharding.reshard(segment_ids_BL, spec("BL", WHOLE))
    causal_LM = jnp.arange(L)[:, None] >= jnp.arange(L)[None, :]
    return (segment_ids_BL[:, :, None] == keys_BM[:, None, :]) & causal_LM[None]


def logit_max(q_BLHK, k_BLGK, segment_ids_BL) -> jax.Array:
    """The largest score, apart from `attention` since fused kernels do not tell it."""
    return jnp.max(masked_scores(q_BLHK, k_BLGK, segment_ids_BL))


BACKENDS = {"xla": xla_attention}
