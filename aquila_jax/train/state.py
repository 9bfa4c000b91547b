"""What training carries from step to step on the devices."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from aquila_jax.ate.offload import resting
from aquila_jax.ate.optimizer import OptimizerConfig, make_optimizer
from aquila_jax.ate.schedules import Schedule
from aquila_jax.core import sharding
from aquila_jax.model.config import ModelConfig
from aquila_jax.model.transformer import Transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """Everything a compiled step is specialised on. Equal programs share one compilation."""

    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: Schedule
    domains: int


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Step and position count also what was skipped; sequences is where the stream stands."""

    step: jax.Array  # int32, steps finished
    sequences: jax.Array  # int32, sequences read
    model: Transformer
    opt_state: Any


@functools.partial(jax.jit, static_argnums=0)
def init_state(program: Program, key: jax.Array) -> TrainState:
    """A fresh state, born on the mesh in force."""
    model = Transformer(program.model, nnx.Rngs(key))
    optimizer = make_optimizer(program.optimizer, program.schedule)
    return TrainState(jnp.int32(0), jnp.int32(0), model, optimizer.init(model))


def abstract_state(program: Program, mesh: jax.sharding.Mesh) -> TrainState:
    """Shapes, types and shardings of a state on `mesh`; nothing is computed."""
    key = jax.eval_shape(lambda: jax.random.key(0))  # the devices may be only described
    shapes = jax.eval_shape(functools.partial(init_state, program), key)
    state = sharding.abstract(shapes, mesh)
    if program.optimizer.offload:
        state = dataclasses.replace(state, opt_state=resting(state.opt_state))
    return state
