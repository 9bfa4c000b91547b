"""One optimiser step: gradients over the micro-batches, an update unless it must be skipped."""

import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from aquila_jax.ate.optimizer import make_optimizer
from aquila_jax.ate.schedules import learning_rate
from aquila_jax.core.signals import Batch, Control, Signals
from aquila_jax.model.loss import cross_entropy
from aquila_jax.train import layers
from aquila_jax.train.state import Program, TrainState
from aquila_jax.tsm.metrics import StepMetrics


@functools.partial(jax.jit, static_argnames=("program", "statistics"), donate_argnames="state")
def train_step(
    program: Program,
    state: TrainState,
    batch: Batch,
    control: Control,
    *,
    statistics: Literal["light", "heavy"] = "light",
) -> tuple[TrainState, Signals]:
    """The next state and what the monitor needs to know; `control` never recompiles.

    A step whose loss, gradient or rate is not finite, or above the limits of `control`, leaves
    model and optimiser state bit for bit as they were; step and position go on.
    """
    objective = functools.partial(
        loss, program=program, z_loss=control.z_loss, statistics=statistics
    )
    grads, metrics, maxima, micro_square = gradients(objective, state.model, batch)
    seen = metrics.compute()
    grad_squares = layers.squares(grads)
    norm = layers.global_norm(grad_squares)
    if batch.tokens.shape[0] == 1:
        micro_square = jnp.square(norm)  # the same, but not read again
    rate = learning_rate(program.schedule, state.sequences, control)
    good = jnp.isfinite(seen["loss"]) & jnp.isfinite(norm) & jnp.isfinite(rate)
    good &= (seen["loss"] <= control.loss_limit) & (norm <= control.grad_norm_limit)

    take, leave = branches(program, control, norm)
    model, opt_state, squares = jax.lax.cond(good, take, leave, state, grads)
    (update_squares, weight_squares), blocks = squares, model.blocks
    signals = Signals(
        loss=seen["loss"],
        domain_nats_M=seen["domain_nats_M"],
        domain_tokens_M=seen["domain_tokens_M"],
        log_z_squared=seen["log_z_squared"],
        learning_rate=rate,
        grad_norm=norm,
        micro_grad_square=micro_square,
        update_ratio=layers.median_ratio(update_squares, weight_squares),
        update_rms_N=layers.rms(update_squares, blocks),
        weight_rms_N=layers.rms(weight_squares, blocks),
        grad_norm_N=layers.norm(grad_squares),
        skipped=1.0 - good,
        **(heavy(model, *maxima) if statistics == "heavy" else {}),
    )
    step, sequences = state.step + 1, state.sequences + math.prod(batch.tokens.shape[:-1])
    return TrainState(step, sequences, model, opt_state), signals


def gradients(objective, model, batch: Batch):
    """Mean gradient over all targets of `[A, B, L]`, however they fall into micro-batches.

    Also the summed metrics, the largest statistics, and the mean over A of |g_a|^2.
    """
    targets = jnp.maximum(jnp.sum(batch.loss_mask), 1.0)

    def micro_step(micro: Batch):
        value_and_grad = jax.value_and_grad(objective, has_aux=True)
        (_, (metrics, maxima)), grads = value_and_grad(model, micro, targets)
        # The square of a micro-batch's own mean gradient, had it been the whole batch.
        share = targets / jnp.maximum(jnp.sum(micro.loss_mask), 1.0)
        return grads, metrics, maxima, jnp.square(share * optax.tree.norm(grads))

    first = jax.tree.map(lambda x: x[0], batch)
    if batch.tokens.shape[0] == 1:
        return micro_step(first)

    def accumulate(so_far, micro: Batch):
        grads, metrics, maxima, square = micro_step(micro)
        grads = optax.tree.add(so_far[0], grads)
        maxima = jax.tree.map(jnp.maximum, so_far[2], maxima)
        return (grads, so_far[1].merge(metrics), maxima, so_far[3] + square), None

    # From nothing, not from the first micro-batch: the model is compiled once, not twice.
    _, metrics, maxima, _ = jax.eval_shape(micro_step, first)
    nothing = (
        optax.tree.zeros_like(model),
        StepMetrics.empty(len(metrics.domain_nats_M.total_M)),
        jax.tree.map(lambda x: jnp.full(x.shape, -jnp.inf, x.dtype), maxima),
        jnp.zeros(()),
    )
    (grads, metrics, maxima, square), _ = jax.lax.scan(accumulate, nothing, batch)
    return grads, metrics, maxima, square / batch.tokens.shape[0]


def loss(model, micro: Batch, targets, *, program: Program, z_loss, statistics):
    """The objective's share of one micro-batch `[B, L]`, with its metrics."""
    hidden_BLD, stats = model(
        micro.tokens, micro.positions, micro.segment_ids, statistics=statistics
    )
    told = cross_entropy(
        hidden_BLD,
        model.unembed[...],
        micro.targets,
        micro.loss_mask / targets,
        z_loss=z_loss,
        vocab=program.model.vocab,
        chunks=program.model.loss_chunks,
    )
    metrics = StepMetrics.measure(
        told.nats_BL,
        jnp.square(told.log_z_BL),
        micro.loss_mask,
        domain_ids_BL=micro.domain_ids,
        domains=program.domains,
    )
    return told.objective, (metrics, (stats, told.logit_max))


def branches(program: Program, control: Control, grad_norm):
    """What `cond` chooses from: take the update, or leave everything untouched."""
    optimizer = make_optimizer(program.optimizer, program.schedule)

    def take(state: TrainState, grads):
        updates, opt_state = optimizer.update(
            grads,
            state.opt_state,
            state.model,
            control=control,
            sequences=state.sequences,
            grad_norm=grad_norm,
        )
        model = optax.apply_updates(state.model, updates)
        return model, opt_state, layers.changes(state.model, model)

    def leave(state: TrainState, grads):
        return state.model, state.opt_state, layers.changes(state.model, state.model)

    return take, leave


def heavy(model, stats, logit_max) -> dict[str, jax.Array]:
    """The signals of the expensive variant."""
    return {
        "activation_rms_N": stats.activation_rms_N,
        "attention_logit_max_N": stats.attention_logit_max_N,
        "output_logit_max": logit_max,
        "weight_std_PN": layers.std_by_type(model.blocks),
    }
