"""Optimiser state that rests in the memory of the hosts and visits the devices for an update."""

import jax
import optax

from aquila_jax.core.sharding import HOST_KIND

HOST, DEVICE = jax.memory.Space.Host, jax.memory.Space.Device


def offloaded(
    inner: optax.GradientTransformationExtraArgs,
) -> optax.GradientTransformationExtraArgs:
    """`inner`, whose arrays lie in host memory between updates; counters stay on the device.

    Saves 8 bytes a weight of AdamW on the devices, and moves as many each way in a step.
    """

    def init(params):
        return _moved(inner.init(params), HOST)

    def update(updates, state, params=None, **extra):
        here = _moved(state, DEVICE)
        updates, state = inner.update(updates, here, params, **extra)
        return updates, _moved(state, HOST)

    return optax.GradientTransformationExtraArgs(init, update)


def resting(abstract_state):
    """Where `offloaded` keeps a state, for its shapes and shardings: `eval_shape` does not tell."""

    def leaf(x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return x.update(sharding=x.sharding.with_memory_kind(HOST_KIND)) if x.ndim else x

    return jax.tree.map(leaf, abstract_state)


def _moved(state, space: jax.memory.Space):
    return jax.tree.map(lambda x: jax.device_put(x, space) if x.ndim else x, state)
