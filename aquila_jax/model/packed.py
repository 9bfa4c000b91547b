"""cuDNN's attention kernels on one device, told where each document begins.

JAX's public door to cuDNN knows documents by a mask of all pairs, which the kernels read whole.
Behind it they also take the documents' beginnings and do nothing between documents; the time and
memory of the backward one then grow with how many it is prepared for. So several are compiled
and the batch chooses: on an H200, 4 sequences of 4,096 tokens and 16 heads of 128 take 6.4 ms
forward and backward by a mask, 2.0 ms as one document each and 1.1 ms as eight.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
from jax._src.cudnn import fused_attention_stablehlo as cudnn

DOCUMENTS = (1, 4, 16)  # of a sequence, for which there is a program of its own
WORKSPACE = 1 << 30  # numbers of the backward kernel's scratch; from 2^31 on gradients are wrong
MASK = None  # the program for more documents: a mask
FORWARD = cudnn._dot_product_attention_fwd_rule  # which names everything that a kernel is told


@jax.custom_vjp
def packed_attention(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """`[B, L, H, K]` in half precision on a GPU; the tokens of a document stand together."""
    return forward(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL)[0]


def forward(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """Also what the backward kernel needs: whichever program ran, in one shape."""
    inputs = (q_BLHK, k_BLGK, v_BLGK, segment_ids_BL)
    y_BLHK, log_z = chosen(_forward, q_BLHK.shape, inputs)
    return y_BLHK, (*inputs, log_z, y_BLHK)


def backward(saved, dy_BLHK):
    """Gradients of queries, keys and values by the program that ran forward."""
    return *chosen(_backward, saved[0].shape, (*saved, dy_BLHK)), None


packed_attention.defvjp(forward, backward)


def chosen(program, shape, operands):
    """What `program` gives for as few documents as this batch allows."""
    kinds = programs(shape)
    most = jnp.max(jnp.sum(beginnings(operands[3]), axis=1))
    index = sum((most > kind).astype(jnp.int32) for kind in kinds[:-1])
    return jax.lax.switch(index, [functools.partial(program, kind) for kind in kinds], operands)


def programs(shape: tuple[int, int, int, int]) -> tuple[int | None, ...]:
    """How many documents the programs for queries of this shape are for; the last takes any."""
    B, L, H, K = shape
    many = [n for n in DOCUMENTS[1:] if n * B * L * H * K <= WORKSPACE]
    return (*DOCUMENTS[:1], *(many if cudnn.check_compute_capability("9.0") else ()), MASK)


def log_z_rows(documents: int | None, sequences: int) -> int:
    """How many a program keeps: one a sequence for each document that it is prepared for."""
    return sequences * (1 if documents is MASK else documents)


def beginnings(segment_ids_BL) -> jax.Array:
    """`[B, L]`: whether a document begins here."""
    first_B1 = jnp.ones_like(segment_ids_BL[:, :1], bool)
    return jnp.concatenate([first_B1, segment_ids_BL[:, 1:] != segment_ids_BL[:, :-1]], axis=1)


def places(segment_ids_BL, documents: int) -> tuple[jax.Array, jax.Array]:
    """Where documents begin, `[B, documents + 1]`, and their lengths, `[B, documents]`; -1: none."""
    L = segment_ids_BL.shape[1]
    find = functools.partial(jnp.flatnonzero, size=documents + 1, fill_value=L)
    starts = jax.vmap(find)(beginnings(segment_ids_BL)).astype(jnp.int32)
    there = starts < L
    lengths = jnp.where(there[:, :-1], starts[:, 1:] - starts[:, :-1], -1)
    return jnp.where(there, starts, -1), lengths


def mask_bias(segment_ids_BL, dtype) -> jax.Array:
    """`[B, 1, L, L]`: added to the scores of pairs of different documents, nearly -infinity."""
    same = segment_ids_BL[:, :, None] == segment_ids_BL[:, None, :]
    return jnp.where(same, 0, cudnn.get_large_negative_number(dtype))[:, None].astype(dtype)


def _forward(documents, inputs):
    y_BLHK, saved = _call(FORWARD, _told(documents, inputs))
    B, log_z = len(y_BLHK), saved[-2]
    most = max(log_z_rows(kind, B) for kind in programs(y_BLHK.shape))
    return y_BLHK, jnp.pad(log_z, [(0, most - len(log_z)), (0, 0), (0, 0)])


def _backward(documents, operands):
    *inputs, log_z, y_BLHK, dy_BLHK = operands
    told, names = _told(documents, inputs), list(inspect.signature(FORWARD).parameters)
    arrays = [told[name] for name in names[: names.index("scale")]]
    log_z = log_z[: log_z_rows(documents, len(y_BLHK))]
    told |= {"res": (*arrays, log_z, y_BLHK), "grad_output": dy_BLHK}
    return _call(cudnn._dot_product_attention_bwd_rule, told)[:3]


def _told(documents, inputs) -> dict:
    """Everything that JAX's rules for the kernels may ask for, by name."""
    q_BLHK, k_BLGK, v_BLGK, segment_ids_BL = inputs
    nothing = jnp.zeros(0, q_BLHK.dtype)
    bias = mask_bias(segment_ids_BL, q_BLHK.dtype) if documents is MASK else nothing
    kind, starts, lengths = cudnn.MaskType.CAUSAL, nothing, nothing
    if documents not in (1, MASK):
        kind, (starts, lengths) = cudnn.MaskType.PADDING_CAUSAL, places(segment_ids_BL, documents)
    return {
        "query": q_BLHK, "key": k_BLGK, "value": v_BLGK, "bias": bias,
        "q_seqlen": lengths, "kv_seqlen": lengths, "q_offsets": starts, "kv_offsets": starts,
        "page_table_k": nothing, "page_table_v": nothing, "scale": 1.0, "seed": 0,
        "dropout_rate": 0.0, "variadic_args": (documents is MASK, False), "mask_type": kind,
        "layout": cudnn.AttentionLayout.BTNH.value, "sliding_window_length": None,
        "score_mod": None, "score_mod_args": (), "is_training": True, "return_residual": False,
        "cudnn_version": cudnn.check_cudnn_version(),
    }  # fmt: skip


def _call(rule, told: dict):
    """JAX's releases differ in what a rule asks for."""
    return rule(**{name: told[name] for name in inspect.signature(rule).parameters})
