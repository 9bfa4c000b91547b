"""Faults for the gauntlet, planted around the product and never inside it.

Each fault either changes the configuration, as a person's mistake would, or wraps what the loop
calls: what the stream reads, what a step is given, what is saved. Steps count from 1; where a
fault happens is drawn from its seed.
"""

import dataclasses
import os
import signal
import time
from collections.abc import Callable

import jax
import numpy as np

from aquila_jax import checkpoint
from aquila_jax.config import Config
from aquila_jax.dmu import ledger as ledgers
from aquila_jax.train import cycle
from launch import data_faults
from launch.planting import Site, on_batches, wrap

GARBAGE = 0.3  # share of the garbage domain


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """`settings` changes the configuration; `plant` wraps the product."""

    settings: Callable[[Config], Config] = lambda config: config
    plant: Callable[[Site], None] = lambda site: None
    everywhere: bool = False  # from the first step on


def not_finite(steps: int) -> Callable[[Site], None]:
    """The data of so many steps gives gradients that are not finite, whenever it is read."""

    def plant(site: Site) -> None:
        first = site.numbers[0]
        last = first + steps * site.config.train.batch

        def make(plain):
            def launch(machine, state, host, batch):
                at = ledgers.lookup(host.ledger, np.arange(host.batch) + host.sequences).sequence
                if not ((at >= first) & (at < last)).any():
                    return plain(machine, state, host, batch)
                nan = host.control._replace(z_loss=float("nan"))
                state, after, done = plain(
                    machine, state, dataclasses.replace(host, control=nan), batch
                )
                after = dataclasses.replace(after, control=host.control)
                return state, after, done._replace(control=host.control)

            return launch

        wrap(cycle, "launch", make)

    return plant


def bit_flip(part: str) -> Callable[[Site], None]:
    """One high bit of one number in the weights or in the optimiser's state, once."""

    def plant(site: Site) -> None:
        done = []

        def make(plain):
            def launch(machine, state, host, batch):
                if host.step + 1 == site.step and not done:
                    done.append(True)
                    state = dataclasses.replace(state, **{part: _flip(getattr(state, part), site)})
                return plain(machine, state, host, batch)

            return launch

        wrap(cycle, "launch", make)

    return plant


def _flip(tree, site: Site):
    leaves, structure = jax.tree.flatten(tree)
    large = [i for i, leaf in enumerate(leaves) if leaf.size > 1000 and leaf.dtype == np.float32]
    number = int(site.draw.choice(large))
    value = np.array(leaves[number])
    place = int(site.draw.integers(value.size))
    bit = int(site.draw.integers(27, 31))  # of the exponent
    value.reshape(-1).view(np.uint32)[place] ^= np.uint32(1 << bit)
    leaves[number] = jax.device_put(value, leaves[number].sharding)
    return jax.tree.unflatten(structure, leaves)


def killed_in_save(site: Site) -> None:
    """The process is killed while the first checkpoint after the step is being written, once."""
    marker = site.workdir / "killed"

    def make(plain):
        def save(self, step, state, host):
            plain(self, step, state, host)
            if step >= site.step and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return save

    wrap(checkpoint.Checkpoints, "save", make)


def hung_reader(site: Site) -> None:
    """Reading never returns, once."""
    marker, first = site.workdir / "hung", site.numbers[0]

    def on(batch, numbers, domains):
        if (numbers >= first).any() and not marker.exists():
            marker.touch()
            time.sleep(10**6)
        return batch

    on_batches(on)


def rate(times: float) -> Callable[[Config], Config]:
    """Another peak of the learning rate."""
    return lambda config: _with(config, "schedule", peak=times * config.schedule.peak)


def _with(config: Config, part: str, **fields) -> Config:
    return dataclasses.replace(
        config, **{part: dataclasses.replace(getattr(config, part), **fields)}
    )


def _garbage_weights(config: Config) -> Config:
    names = list(dict.fromkeys(s.name for s in config.prepare.sources if s.split == "train"))
    rest = (1 - GARBAGE) / (len(names) - 1)
    weights = {name: GARBAGE if i == 0 else rest for i, name in enumerate(names)}
    return _with(config, "data", weights=weights)


def _no_qk_norm(config: Config) -> Config:
    return _with(rate(10)(config), "model", qk_norm=False)


FAULTS = {
    "rate_3x": Fault(settings=rate(3), everywhere=True),
    "rate_10x": Fault(settings=rate(10), everywhere=True),
    "rate_30x": Fault(settings=rate(30), everywhere=True),
    "rate_tenth": Fault(settings=rate(0.1), everywhere=True),
    "no_warmup": Fault(settings=lambda c: _with(c, "schedule", warmup=0), everywhere=True),
    "no_qk_norm_rate_10x": Fault(settings=_no_qk_norm, everywhere=True),
    "poisoned_shard": Fault(plant=data_faults.bad_shard(data_faults.poisoned)),
    "repeated_document": Fault(plant=data_faults.bad_shard(data_faults.repeated)),
    "shifted_labels": Fault(plant=data_faults.bad_shard(data_faults.shifted)),
    "garbage_domain": Fault(
        settings=_garbage_weights, plant=data_faults.garbage_domain, everywhere=True
    ),
    "nan_batch": Fault(plant=not_finite(1)),
    "nan_burst": Fault(plant=not_finite(12)),
    "bit_flip_weight": Fault(plant=bit_flip("model")),
    "bit_flip_moment": Fault(plant=bit_flip("opt_state")),
    "mixture_step": Fault(plant=data_faults.mixture_step),
    "killed_in_save": Fault(plant=killed_in_save),
    "hung_reader": Fault(plant=hung_reader),
    "unlearnable": Fault(plant=data_faults.unlearnable, everywhere=True),
}
