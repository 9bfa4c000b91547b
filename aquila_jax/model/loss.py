"""Cross-entropy in chunks: the logits `[B, L, V]` never stand in memory whole."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import WEIGHTS, einsum, spec


class Loss(NamedTuple):
    """Only `objective` has a gradient; the rest is for reporting."""

    objective: jax.Array  # sum of weights * (nats + z_loss * log_z^2)
    nats_BL: jax.Array  # negative log likelihood of each target, float32
    log_z_BL: jax.Array  # log of the softmax's denominator, float32
    logit_max: jax.Array  # over the targets that have weight


def cross_entropy(
    hidden_BLD: jax.Array,
    unembed_VD: jax.Array,
    targets_BL: jax.Array,
    weights_BL: jax.Array,
    *,
    z_loss: jax.Array | float = 0.0,
    vocab: int,
    chunks: int,
) -> Loss:
    """Loss of all targets with logits for 1/`chunks` of each sequence at a time.

    `vocab` excludes the rows that only pad `unembed_VD`. The weights are known before the
    logits are, so each chunk's gradient is taken while they stand: nothing is kept of them
    and nothing computed twice. z-loss: PaLM, arXiv 2204.02311, section 5.
    """
    L = targets_BL.shape[1]
    split = functools.partial(split_length, chunks=chunks)
    chunked = split(hidden_BLD), split(targets_BL), split(weights_BL.astype(jnp.float32))
    z_loss = jnp.asarray(z_loss, jnp.float32)
    objective, *reports = chunked_loss(vocab, unembed_VD, chunked, z_loss)
    nats_CBT, log_z_CBT, logit_max = jax.lax.stop_gradient(reports)
    return Loss(objective, join_length(nats_CBT, L), join_length(log_z_CBT, L), logit_max)


def split_length(x_BL: jax.Array, *, chunks: int) -> jax.Array:
    """`[B, L, ...]` to `[C, B, L/C, ...]`, padded with zeros to whole chunks.

    A chunk takes every C-th position, so that it is spread over all devices of `context`.
    """
    B, L, *rest = x_BL.shape
    multiple = chunks * jax.sharding.get_abstract_mesh().shape["context"]
    x_BL = jnp.pad(x_BL, [(0, 0), (0, -L % multiple)] + [(0, 0)] * len(rest))
    shape = (B, x_BL.shape[1] // chunks, chunks, *rest)
    return jnp.moveaxis(jax.lax.reshape(x_BL, shape, out_sharding=spec("BL__"[: len(shape)])), 2, 0)


def join_length(x_CBT: jax.Array, length: int) -> jax.Array:
    """Undoes `split_length` for arrays without further axes."""
    C, B, T = x_CBT.shape
    x_BTC = jnp.moveaxis(x_CBT, 0, 2)
    return jax.lax.reshape(x_BTC, (B, T * C), out_sharding=spec("BL"))[:, :length]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def chunked_loss(vocab, unembed_VD, chunked, z_loss):
    """The fields of `Loss`, in chunks `[C, B, T]`."""

    def step(_, chunk):
        return None, chunk_loss(vocab, unembed_VD, chunk, z_loss)[1]

    return gather_chunks(jax.lax.scan(step, None, chunked)[1])


def chunked_loss_forward(vocab, unembed_VD, chunked, z_loss):
    """Also the objective's gradients, kept for the backward pass."""

    def step(d_unembed_VD, chunk):
        hidden_BTD = chunk[0]
        logits_BTV, loss = chunk_loss(vocab, unembed_VD, chunk, z_loss)
        d_logits_BTV = logits_gradient(logits_BTV, loss.log_z_BL, chunk, z_loss)
        d_logits_BTV = d_logits_BTV.astype(hidden_BTD.dtype)
        d_hidden_BTD = einsum("BLV,VD->BLD", d_logits_BTV, unembed_VD)
        d_unembed_VD += jnp.einsum(
            "BTV,BTD->VD",
            d_logits_BTV,
            hidden_BTD,
            preferred_element_type=jnp.float32,
            out_sharding=spec("VD", WEIGHTS),
        )
        return d_unembed_VD, (loss, d_hidden_BTD)

    d_unembed_VD = jnp.zeros_like(unembed_VD, jnp.float32)
    d_unembed_VD, (losses, d_hidden_CBTD) = jax.lax.scan(step, d_unembed_VD, chunked)
    return gather_chunks(losses), (d_unembed_VD, d_hidden_CBTD)


def chunked_loss_backward(_, gradients, cotangents):
    """Scales what the forward pass has found."""
    d_unembed_VD, d_hidden_CBTD = gradients
    scale = cotangents.objective
    d_hidden_CBTD = d_hidden_CBTD * scale.astype(d_hidden_CBTD.dtype)
    return d_unembed_VD * scale, (d_hidden_CBTD, None, None), None


chunked_loss.defvjp(chunked_loss_forward, chunked_loss_backward)


def chunk_loss(vocab, unembed_VD, chunk, z_loss):
    """One chunk's logits, float32 and minus infinity at padding vocabulary, and its `Loss`."""
    hidden_BTD, targets_BT, weights_BT = chunk
    logits_BTV = jnp.einsum(
        "BTD,VD->BTV",
        hidden_BTD,
        unembed_VD.astype(hidden_BTD.dtype),
        preferred_element_type=jnp.float32,
        out_sharding=spec("BLV"),
    )
    logits_BTV = jnp.where(entries(logits_BTV) < vocab, logits_BTV, -jnp.inf)
    log_z_BT = jax.nn.logsumexp(logits_BTV, axis=-1)
    # A masked sum and not a gather, since V may be sharded.
    hit_BTV = entries(logits_BTV) == targets_BT[:, :, None]
    nats_BT = log_z_BT - jnp.sum(jnp.where(hit_BTV, logits_BTV, 0), axis=-1)
    objective = jnp.sum(weights_BT * (nats_BT + z_loss * jnp.square(log_z_BT)))
    counted_BT = jnp.where(weights_BT > 0, jnp.max(logits_BTV, axis=-1), -jnp.inf)
    return logits_BTV, Loss(objective, nats_BT, log_z_BT, jnp.max(counted_BT))


def logits_gradient(logits_BTV, log_z_BT, chunk, z_loss):
    """The objective's gradient: softmax minus one at the target, and z-loss's share."""
    _, targets_BT, weights_BT = chunk
    slope_BT = weights_BT * (1 + 2 * z_loss * log_z_BT)
    share_BTV = slope_BT[:, :, None] * jnp.exp(logits_BTV - log_z_BT[:, :, None])
    hit_BTV = entries(logits_BTV) == targets_BT[:, :, None]
    return share_BTV - jnp.where(hit_BTV, weights_BT[:, :, None], 0)


def entries(logits_BTV):
    """The vocabulary entry that each logit belongs to."""
    return jax.lax.broadcasted_iota(jnp.int32, logits_BTV.shape, 2, out_sharding=spec("BLV"))


def gather_chunks(losses: Loss) -> Loss:
    """One `Loss` of the chunks' stacked ones."""
    objective, nats_CBT, log_z_CBT, logit_max = losses
    return Loss(jnp.sum(objective), nats_CBT, log_z_CBT, jnp.max(logit_max))
