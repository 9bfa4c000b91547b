"""Attention over long sequences: keys and values travel round the `context` axis."""

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import spec


def ring_attention(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """`[B, L, H, K]`; no device ever holds more than two parts of the keys.

    Ring attention (arXiv 2310.01889): at each turn a device attends to the part of the keys it
    has, with the running softmax of arXiv 1805.02867, and passes the part on.
    """
    layouts = (spec("BLHK"), spec("BLGK"), spec("BLGK"), spec("BL"))
    apply = jax.shard_map(turn_round, in_specs=layouts, out_specs=spec("BLHK"), check_vma=False)
    return apply(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL)


def turn_round(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """One device's queries against everyone's keys."""
    B, L, H, K = q_BLHK.shape
    G = k_BLGK.shape[2]
    size, here = jax.lax.axis_size("context"), jax.lax.axis_index("context")
    q_BLGRK = q_BLHK.reshape(B, L, G, H // G, K)
    passing = [(device, (device + 1) % size) for device in range(size)]

    def turn(carried, number):
        summary, part = carried
        places = (here, (here - number) % size)
        summary = look(summary, (q_BLGRK, segment_ids_BL), part, places)
        part = jax.tree.map(lambda x: jax.lax.ppermute(x, "context", passing), part)
        return (summary, part), None

    shape = (B, G, H // G, L)
    nothing = jnp.full(shape, -jnp.inf), jnp.zeros(shape), jnp.zeros((*shape, K))
    part = k_BLGK, v_BLGK, segment_ids_BL
    # Scores are computed again in the backward pass: kept, they would be as large as all of L.
    turn = jax.checkpoint(turn)
    ((_, total_BGRL, sum_BGRLK), _), _ = jax.lax.scan(turn, (nothing, part), jnp.arange(size))
    y_BGRLK = (sum_BGRLK / total_BGRL[..., None]).astype(q_BLHK.dtype)
    return y_BGRLK.transpose(0, 3, 1, 2, 4).reshape(B, L, H, K)


def look(summary, queries, part, places):
    """The running maximum, sum of weights and weighted values after one more part of keys.

    `places` are the parts that queries and keys have in the sequence. The first part looked at
    is the queries' own, where each sees at least itself: the maximum is finite from then on.
    """
    largest_BGRL, total_BGRL, sum_BGRLK = summary
    (q_BLGRK, queries_BL), (k_BMGK, v_BMGK, keys_BM) = queries, part
    index = jnp.arange(queries_BL.shape[1])
    query_L, key_M = (place * len(index) + index for place in places)
    visible_BLM = (queries_BL[:, :, None] == keys_BM[:, None, :]) & (
        query_L[:, None] >= key_M[None, :]
    )[None]
    scores_BGRLM = jnp.einsum(
        "BLGRK,BMGK->BGRLM", q_BLGRK, k_BMGK, preferred_element_type=jnp.float32
    )
    scores_BGRLM = jnp.where(visible_BLM[:, None, None], scores_BGRLM, -jnp.inf)
    new_BGRL = jax.lax.stop_gradient(jnp.maximum(largest_BGRL, jnp.max(scores_BGRLM, axis=-1)))
    weights_BGRLM = jnp.exp(scores_BGRLM - new_BGRL[..., None])
    shrink_BGRL = jnp.exp(largest_BGRL - new_BGRL)
    values_BGRLK = jnp.einsum(
        "BGRLM,BMGK->BGRLK",
        weights_BGRLM.astype(v_BMGK.dtype),
        v_BMGK,
        preferred_element_type=jnp.float32,
    )
    total_BGRL = shrink_BGRL * total_BGRL + jnp.sum(weights_BGRLM, axis=-1)
    return new_BGRL, total_BGRL, shrink_BGRL[..., None] * sum_BGRLK + values_BGRLK
