"""The train step ahead of time: lowered from shapes alone, for devices that need not be there."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from aquila_jax.config import Config, domains
from aquila_jax.core.sharding import spec
from aquila_jax.core.signals import Batch, Control
from aquila_jax.plan import cache, executable
from aquila_jax.plan.candidates import as_configured
from aquila_jax.train.state import Program, TrainState, abstract_state
from aquila_jax.train.step import train_step


class Ahead(NamedTuple):
    """A step that is ready to be compiled, and the state it will carry."""

    lowered: jax.stages.Lowered
    state: TrainState  # shapes, types and shardings


def program(config: Config) -> Program:
    """What the step is specialised on, if the store has the domains of `config.prepare`."""
    return Program(
        model=config.model,
        optimizer=config.optimizer,
        schedule=config.schedule,
        domains=domains(config),
    )


def lower(config: Config, mesh: jax.sharding.Mesh) -> Ahead:
    """The step of `config` on `mesh`, whose devices may be only described."""
    train = config.train
    shape = (train.accumulate, train.batch // train.accumulate, config.data.length)
    layout = jax.NamedSharding(mesh, jax.P(None, *spec("BL")))
    whole = jax.ShapeDtypeStruct(shape, jnp.int32, sharding=layout)
    scalar = jax.ShapeDtypeStruct((), jnp.float32, sharding=jax.NamedSharding(mesh, jax.P()))
    batch = Batch(*[whole] * len(Batch._fields))
    batch = batch._replace(loss_mask=whole.update(dtype=jnp.float32))
    control = Control(*[scalar] * len(Control._fields))
    with jax.set_mesh(mesh):
        state = abstract_state(program(config), mesh)
        return Ahead(train_step.lower(program(config), state, batch, control), state)


def load(config: Config, mesh: jax.sharding.Mesh, file: Path) -> Any:
    """The step that `plan --save` compiled, if it was for `config` as it stands on `mesh`."""
    layout = as_configured(config, mesh.size)
    return executable.load(file, mesh, fingerprint=cache.fingerprint(config, layout))
