"""From a configuration to the machine that its steps run on."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jax

from aquila_jax.config import Config
from aquila_jax.core.sharding import make_mesh
from aquila_jax.dmu.store import TokenStore
from aquila_jax.dmu.stream import Stream
from aquila_jax.plan.candidates import require
from aquila_jax.train import ahead, newcomers, oddity
from aquila_jax.train.cycle import Machine
from aquila_jax.train.mentor import Mentor
from aquila_jax.tsm import band


def mesh(config: Config, devices: Sequence[jax.Device] | None = None) -> jax.sharding.Mesh:
    """The mesh that `config` asks for, by default of all devices; ValueError if it cannot be."""
    made = make_mesh(dict(config.train.mesh), devices)
    require(config, made.shape)
    return made


def machine(config: Config, store: TokenStore) -> Machine:
    """On the mesh in force; ValueError if the model was made for another tokenizer."""
    if config.model.vocab != store.manifest.vocab_size:
        raise ValueError(
            f"model.vocab={config.model.vocab} must be the {store.manifest.vocab_size} entries of "
            f"the tokenizer in {store.path}."
        )
    languages = {info.name: info.language for info in store.manifest.train}
    return Machine(
        config=config,
        mesh=jax.sharding.get_mesh(),
        program=dataclasses.replace(ahead.program(config), domains=len(languages)),
        stream=Stream(store, config.data.length, config.data.packing),
        mentor=Mentor(config, languages, calibrations()),
    )


def opened(config: Config, joined: Sequence[Mapping[str, Any]]) -> Machine:
    """With the store of the configuration and those that joined since, watched."""
    return watching(machine(config, newcomers.open_all(config, joined)))


def watching(machine: Machine) -> Machine:
    """With what the store's tokens usually look like, unless nobody watches."""
    if machine.config.mentor.mode == "off":
        return machine
    return machine._replace(usual=oddity.usual(machine.stream, machine.config.model.vocab))


def calibrations() -> dict[str, band.Calibration]:
    """How wide forecasts have to be, as they come with the package."""
    file = resources.files("aquila_jax.tsm") / "calibration.json"
    return band.from_json(json.loads(file.read_text(encoding="utf-8")))
