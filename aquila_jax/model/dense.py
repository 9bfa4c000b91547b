"""Attention in plain products, on any platform: blocks of queries against all keys before them.

    M keys of all queries   Q queries of all heads of a group, in one axis

Keys come before queries in each array of scores, so that the softmax sums over a leading axis.
With one axis of queries every product, forward and backward, is one that XLA's CPU reads in place:
with two of them, or by automatic gradients, it would first write the scores down transposed.
"""

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from aquila_jax.core.sharding import MESH_AXES, WHOLE, spec

SMALLEST_BLOCK, MOST_BLOCKS = 128, 8
ROWS_APART = 2  # XLA's CPU does one array's small products on one core, those of two on two


def dense_attention(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """`[B, L, H, K]`; the softmax is taken in float32."""

    def attend(queries, keys):
        parts = min(ROWS_APART, len(queries[0]))
        apart = zip(*(jnp.array_split(x_B, parts) for x_B in (*queries, *keys)), strict=True)
        return jnp.concatenate([attend_rows(part[:2], part[2:]) for part in apart])

    layouts = (spec("BLHK"), spec("BL")), (*[spec("BLGK", WHOLE)] * 2, spec("BL", WHOLE))
    inputs = jax.sharding.reshard(
        ((q_BLHK, segment_ids_BL), (k_BLGK, v_BLGK, segment_ids_BL)), layouts
    )
    apply = jax.shard_map(attend, in_specs=layouts, out_specs=spec("BLHK"), check_vma=False)
    return apply(*inputs)


def attend_rows(queries, keys):
    """`[B, L, H, K]` of what one device has of both."""
    q_BLHK, (k_BLGK, v_BLGK) = queries[0], keys[:2]
    k_BGMK, v_BGMK = k_BLGK.swapaxes(1, 2), v_BLGK.swapaxes(1, 2)
    parts = [
        mix(q_BGQK, k_BGMK[:, :, : visible_BMQ.shape[1]], v_BGMK[:, :, : visible_BMQ.shape[1]],
            visible_BMQ)
        for q_BGQK, visible_BMQ in blocks(queries, keys)
    ]  # fmt: skip
    B, L, H, K = q_BLHK.shape
    y_BGLRK = jnp.concatenate(parts, axis=2).reshape(B, k_BGMK.shape[1], L, -1, K)
    return y_BGLRK.swapaxes(1, 2).reshape(B, L, H, K)


def logit_max(q_BLHK, k_BLGK, segment_ids_BL) -> jax.Array:
    """The largest score, apart from the attention since fused kernels do not tell it."""

    def largest(queries, keys):
        k_BGMK = keys[0].swapaxes(1, 2)
        return jnp.stack([
            jnp.max(scores(q_BGQK, k_BGMK[:, :, : visible_BMQ.shape[1]], visible_BMQ))
            for q_BGQK, visible_BMQ in blocks(queries, keys)
        ])  # fmt: skip

    layouts = (spec("BLHK"), spec("BL")), (spec("BLGK", WHOLE), spec("BL", WHOLE))
    q_BLHK, k_BLGK = jax.lax.stop_gradient((q_BLHK, k_BLGK))
    inputs = jax.sharding.reshard(((q_BLHK, segment_ids_BL), (k_BLGK, segment_ids_BL)), layouts)
    everywhere = PartitionSpec(MESH_AXES)
    apply = jax.shard_map(largest, in_specs=layouts, out_specs=everywhere, check_vma=False)
    return jnp.max(apply(*inputs))


def blocks(queries, keys):
    """What one device has: yields queries `[B, G, Q, K]` and which keys `[B, M, Q]` each sees."""
    (q_BLHK, queries_BL), (k_BLGK, *_, keys_BM) = queries, keys
    B, L, H, K = q_BLHK.shape
    G = k_BLGK.shape[2]
    q_BGLRK = q_BLHK.reshape(B, L, G, H // G, K).swapaxes(1, 2)
    whole = jax.sharding.get_abstract_mesh().shape["context"] == 1
    offset = 0 if whole else jax.lax.axis_index("context") * L
    for first, end in block_bounds(L) if whole else [(0, L)]:
        last = end if whole else keys_BM.shape[1]
        place_L = offset + jnp.arange(first, end)
        causal_ML = jnp.arange(last)[:, None] <= place_L[None, :]
        visible_BML = causal_ML[None] & (keys_BM[:, :last, None] == queries_BL[:, None, first:end])
        q_BGQK = q_BGLRK[:, :, first:end].reshape(B, G, -1, K)
        yield q_BGQK, jnp.repeat(visible_BML, H // G, axis=2)


def block_bounds(length: int) -> list[tuple[int, int]]:
    """Where query blocks start and end."""
    block = max(SMALLEST_BLOCK, -(-length // MOST_BLOCKS))
    return [(first, min(first + block, length)) for first in range(0, length, block)]


def scores(q_BGQK, k_BGMK, visible_BMQ):
    """`[B, G, M, Q]` in float32, minus infinity where not visible."""
    wide = {"preferred_element_type": jnp.float32}
    scores_BGMQ = jnp.einsum("BGMK,BGQK->BGMQ", k_BGMK, q_BGQK, **wide)
    return jnp.where(visible_BMQ[:, None], scores_BGMQ, -jnp.inf)


@jax.custom_vjp
def mix(q_BGQK, k_BGMK, v_BGMK, visible_BMQ):
    """Values weighted by the softmax over keys, `[B, G, Q, K]`."""
    return mix_forward(q_BGQK, k_BGMK, v_BGMK, visible_BMQ)[0]


def mix_forward(q_BGQK, k_BGMK, v_BGMK, visible_BMQ):
    """Keeps the weights before division by their total."""
    scores_BGMQ = scores(q_BGQK, k_BGMK, visible_BMQ)
    weights_BGMQ = jnp.exp(scores_BGMQ - jnp.max(scores_BGMQ, axis=2, keepdims=True))
    total_BGQ = jnp.sum(weights_BGMQ, axis=2)
    weights_BGMQ = weights_BGMQ.astype(v_BGMK.dtype)
    y_BGQK = jnp.einsum("BGMQ,BGMK->BGQK", weights_BGMQ, v_BGMK)
    y_BGQK = y_BGQK / total_BGQ.astype(y_BGQK.dtype)[..., None]
    return y_BGQK, (q_BGQK, k_BGMK, v_BGMK, weights_BGMQ, total_BGQ, y_BGQK)


def mix_backward(kept, dy_BGQK):
    """The softmax's gradient is weight * (dy.v - dy.y) / total: one pass over the scores."""
    q_BGQK, k_BGMK, v_BGMK, weights_BGMQ, total_BGQ, y_BGQK = kept
    dy_BGQK = dy_BGQK / total_BGQ.astype(dy_BGQK.dtype)[..., None]
    mean_BGQ = jnp.sum(dy_BGQK.astype(jnp.float32) * y_BGQK, axis=-1)
    slope_BGMQ = jnp.einsum("BGMK,BGQK->BGMQ", v_BGMK, dy_BGQK, preferred_element_type=jnp.float32)
    d_scores_BGMQ = (weights_BGMQ * (slope_BGMQ - mean_BGQ[:, :, None])).astype(q_BGQK.dtype)
    dq_BGQK = jnp.einsum("BGMQ,BGMK->BGQK", d_scores_BGMQ, k_BGMK)
    dk_BGMK = jnp.einsum("BGMQ,BGQK->BGMK", d_scores_BGMQ, q_BGQK)
    dv_BGMK = jnp.einsum("BGMQ,BGQK->BGMK", weights_BGMQ, dy_BGQK)
    return dq_BGQK, dk_BGMK, dv_BGMK, None


mix.defvjp(mix_forward, mix_backward)
