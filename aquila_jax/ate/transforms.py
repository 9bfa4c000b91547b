"""Pieces of the optax chain that read `Control`: pairs (init, update), one idea each."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from aquila_jax.ate.schedules import Schedule, learning_rate
from aquila_jax.core.signals import Control


def stateless(fn: Callable) -> optax.GradientTransformationExtraArgs:
    """Lifts `fn(updates, params, control, sequences) -> updates`."""

    def update(updates, state, params=None, *, control: Control, sequences: jax.Array, **_):
        return fn(updates, params, control, sequences), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def clip_by_control() -> optax.GradientTransformationExtraArgs:
    """Scales the updates, whose global norm is `grad_norm`, to at most `control.clip_norm`.

    The step knows that norm before it decides to update: no second pass over the gradients.
    """

    def clip(updates, state, params=None, *, control: Control, grad_norm: jax.Array, **_):
        scale = jnp.minimum(1.0, control.clip_norm / (grad_norm + 1e-6))
        return optax.tree.scale(scale, updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, clip)


def decay_weights(rate: float, mask: Callable) -> optax.GradientTransformationExtraArgs:
    """Adds `rate * control.weight_decay_scale * weight` where `mask(params)` is true."""

    def decay(updates, params, control, sequences):
        factor = rate * control.weight_decay_scale
        return jax.tree.map(
            lambda update, weight, decays: update + factor * weight if decays else update,
            updates,
            params,
            mask(params),
        )

    return stateless(decay)


def scale_by_schedule(schedule: Schedule) -> optax.GradientTransformationExtraArgs:
    """Multiplies by minus the learning rate of this step."""

    def scale(updates, params, control, sequences):
        return optax.tree.scale(-learning_rate(schedule, sequences, control), updates)

    return stateless(scale)
