"""Cross-entropy in chunks: the logits `[B, L, V]` never stand in memory whole."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import spec
from aquila_jax.core.signals import Batch
from aquila_jax.model.exchange import over_tokens
from aquila_jax.model.tokens import ROWS, join_tokens, shards, split_tokens

VECTOR = 16  # tokens: rows of logits then begin where a processor's vectors do


class Loss(NamedTuple):
    """Only `objective` has a gradient; the rest is for reporting."""

    objective: jax.Array  # sum of weights * (nats + z_loss * log_z^2)
    nats_BL: jax.Array  # negative log likelihood of each target, float32
    log_z_BL: jax.Array  # log of the softmax's denominator, float32
    logit_max: jax.Array  # over the targets that have weight


def nats(model, micro: Batch) -> jax.Array:
    """`[B, L]`: negative log likelihood of each target of a micro-batch under `model`."""
    hidden_BLD, _ = model(micro.tokens, micro.positions, micro.segment_ids)
    return cross_entropy(
        hidden_BLD,
        model.unembed[...],
        micro.targets,
        micro.loss_mask,
        vocab=model.cfg.vocab,
        chunks=model.cfg.loss_chunks,
    ).nats_BL


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
    tokens = join_tokens(hidden_BLD, "D"), join_tokens(targets_BL), join_tokens(weights_BL)
    z_loss = jnp.asarray(z_loss, jnp.float32)
    split = functools.partial(split_chunks, chunks=chunks)
    objective, *reports = chunked_loss(vocab, unembed_VD, tuple(map(split, tokens)), z_loss)
    nats_CT, log_z_CT, logit_max = jax.lax.stop_gradient(reports)
    nats_BL, log_z_BL = (join_chunks(x_CT, targets_BL.shape) for x_CT in (nats_CT, log_z_CT))
    return Loss(objective, nats_BL, log_z_BL, logit_max)


def split_chunks(x_T: jax.Array, *, chunks: int) -> jax.Array:
    """`[T, ...]` to `[C, T/C, ...]`, padded with zeros to whole chunks of whole vectors.

    A chunk takes every C-th token, so that all devices have a part of each.
    """
    T, *rest = x_T.shape
    multiple = chunks * math.prod(shards()) * VECTOR
    x_T = jnp.pad(x_T, [(0, -T % multiple)] + [(0, 0)] * len(rest))
    shape = (len(x_T) // chunks, chunks, *rest)
    return jax.lax.reshape(x_T, shape, out_sharding=spec("T__"[: len(shape)], ROWS)).swapaxes(0, 1)


def join_chunks(x_CT: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """`[C, T/C]` to `[B, L]`."""
    x_T = jax.lax.reshape(x_CT.T, (x_CT.size,), out_sharding=spec("T", ROWS))
    return split_tokens(x_T[: math.prod(shape)], shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def chunked_loss(vocab, unembed_VD, chunked, z_loss):
    """The objective, nats `[C, T]`, log_z `[C, T]` and the largest logit."""

    unembed_VD = unembed_VD.astype(chunked[0].dtype)

    def step(_, chunk):
        return None, chunk_loss(vocab, unembed_VD, chunk, z_loss)[1]

    return gather_chunks(jax.lax.scan(step, None, chunked)[1])


def chunked_loss_forward(vocab, unembed_VD, chunked, z_loss):
    """Also the objective's gradients, kept for the backward pass."""
    unembed_VD = unembed_VD.astype(chunked[0].dtype)  # once, not for each chunk

    def step(d_unembed_VD, chunk):
        hidden_TD = chunk[0]
        softmax, loss = chunk_loss(vocab, unembed_VD, chunk, z_loss)
        d_logits_VT = logits_gradient(softmax, loss, chunk, z_loss).astype(hidden_TD.dtype)
        d_hidden_TD = jnp.einsum(
            "VT,VD->TD",
            d_logits_VT,
            unembed_VD,
            out_sharding=spec("T_", ROWS),
        )
        d_unembed_VD += over_tokens("VT,TD->VD", d_logits_VT, hidden_TD, dtype=jnp.float32)
        return d_unembed_VD, (loss, d_hidden_TD)

    d_unembed_VD = jnp.zeros_like(unembed_VD, jnp.float32)
    d_unembed_VD, (losses, d_hidden_CTD) = jax.lax.scan(step, d_unembed_VD, chunked)
    return gather_chunks(losses), (d_unembed_VD, d_hidden_CTD)


def chunked_loss_backward(_, gradients, cotangents):
    """Scales what the forward pass has found."""
    d_unembed_VD, d_hidden_CTD = gradients
    scale = cotangents[0]
    d_hidden_CTD = d_hidden_CTD * scale.astype(d_hidden_CTD.dtype)
    return d_unembed_VD * scale, (d_hidden_CTD, None, None), None


chunked_loss.defvjp(chunked_loss_forward, chunked_loss_backward)


def chunk_loss(vocab, unembed_VD, chunk, z_loss):
    """One chunk's softmax `[V, T]` before division by its sum, that sum, and its loss.

    With the vocabulary first no product needs the logits transposed, and the softmax sums
    over a leading axis.
    """
    hidden_TD, targets_T, weights_T = chunk
    logits_VT = jnp.einsum(
        "VD,TD->VT",
        unembed_VD,
        hidden_TD,
        preferred_element_type=jnp.float32,
        out_sharding=spec("VT", ROWS),
    )
    if vocab < len(unembed_VD):
        logits_VT = jnp.where(entries(logits_VT) < vocab, logits_VT, -jnp.inf)
    largest_T = jnp.max(logits_VT, axis=0)
    share_VT = jnp.exp(logits_VT - largest_T[None])
    total_T = jnp.sum(share_VT, axis=0)
    log_z_T = largest_T + jnp.log(total_T)
    # A masked sum and not a gather, since V may be sharded.
    hit_VT = entries(logits_VT) == targets_T[None]
    nats_T = log_z_T - jnp.sum(jnp.where(hit_VT, logits_VT, 0), axis=0)
    objective = jnp.sum(weights_T * (nats_T + z_loss * jnp.square(log_z_T)))
    counted_T = jnp.where(weights_T > 0, largest_T, -jnp.inf)
    return (share_VT, total_T), (objective, nats_T, log_z_T, jnp.max(counted_T))


def logits_gradient(softmax, loss, chunk, z_loss):
    """The objective's gradient: softmax minus one at the target, and z-loss's share."""
    share_VT, total_T = softmax
    _, _, log_z_T, _ = loss
    _, targets_T, weights_T = chunk
    slope_T = weights_T * (1 + 2 * z_loss * log_z_T) / total_T
    hit_VT = entries(share_VT) == targets_T[None]
    return share_VT * slope_T[None] - jnp.where(hit_VT, weights_T[None], 0)


def entries(logits_VT):
    """The vocabulary entry that each logit belongs to."""
    return jax.lax.broadcasted_iota(jnp.int32, logits_VT.shape, 0, out_sharding=spec("VT", ROWS))


def gather_chunks(losses):
    """The chunks' losses as one: sums and maxima taken, tokens left in chunks."""
    objective_C, nats_CT, log_z_CT, logit_max_C = losses
    return jnp.sum(objective_C), nats_CT, log_z_CT, jnp.max(logit_max_C)
