"""Attention on GPU by cuDNN, which is told of the documents."""

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import WHOLE, spec
from aquila_jax.model.packed import packed_attention
from aquila_jax.model.target import platform

HALVES = ("bfloat16", "float16")


def cudnn_attention(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """`[B, L, H, K]`; off GPU the same call is left to XLA.

    cuDNN knows no segment ids, and left to its causal mask it attends across documents without
    a word (MaxText #4476). So it is told where they begin (`packed`), or, where `context` spreads
    the queries, gets the whole mask, `[B, 1, L, L]` in half precision.
    """
    if platform() == "gpu":
        context = jax.sharding.get_abstract_mesh().shape["context"]
        require(q_BLHK.dtype.name, q_BLHK.shape[1] // context)
    queries = spec("BLHK"), spec("BL")
    keys = spec("BLGK", WHOLE), spec("BLGK", WHOLE), spec("BL", WHOLE)
    inputs = ((q_BLHK, segment_ids_BL), (k_BLGK, v_BLGK, segment_ids_BL))
    apply = jax.shard_map(attend, in_specs=(queries, keys), out_specs=queries[0], check_vma=False)
    return apply(*jax.sharding.reshard(inputs, (queries, keys)))


def attend(queries, keys):
    """What one device does with its part of the queries."""
    (q_BLHK, queries_BL), (k_BMGK, v_BMGK, keys_BM) = queries, keys
    L, M = queries_BL.shape[1], keys_BM.shape[1]
    if platform() == "gpu" and L == M:
        return packed_attention(q_BLHK, k_BMGK, v_BMGK, keys_BM)
    query_L = jax.lax.axis_index("context") * L + jnp.arange(L)
    causal_LM = query_L[:, None] >= jnp.arange(M)[None, :]
    mask_BLM = (queries_BL[:, :, None] == keys_BM[:, None, :]) & causal_LM[None]
    return jax.nn.dot_product_attention(
        q_BLHK,
        k_BMGK,
        v_BMGK,
        mask=mask_BLM[:, None],
        scale=1.0,  # the caller has scaled the queries
        implementation="cudnn" if platform() == "gpu" else "xla",
    )


def fits(dtype: str, head_dim: int, length: int) -> bool:
    """Whether cuDNN's fused kernels, forward and backward, take such heads and lengths.

    The backward one wants an even length of queries and of keys where there is a mask.
    """
    return dtype in HALVES and head_dim % 8 == 0 and head_dim <= 128 and length % 2 == 0


def require(dtype: str, length: int) -> None:
    """ValueError unless the kernels take this precision and a part of `length` tokens."""
    if dtype not in HALVES:
        raise ValueError(
            f"cuDNN attention computes in half precision, not in {dtype}; set "
            "model.compute_dtype='bfloat16' or model.attention='xla'."
        )
    if length % 2:
        raise ValueError(
            f"cuDNN attention needs the {length} tokens that each part of `context` has to be an "
            "even number; change data.length or set model.attention='xla'."
        )
