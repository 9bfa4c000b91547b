"""What the light signals cost: the step with them against the step that gives its loss only.

    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false" python launch/signal_cost.py \\
        --output docs/results/signal_cost.json

From the second step the compiler removes all that nobody reads, so the difference is what the
signals cost. CPU time of this process, the two by turns, for the configurations as they are
shipped, on random tokens, with XLA set to one thread.
"""

import argparse
import functools
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from aquila_jax.ate.optimizer import neutral_control
from aquila_jax.config import Config, from_config_dict
from aquila_jax.core import feed, sharding
from aquila_jax.core.signals import Control
from aquila_jax.train.ahead import program as program_of
from aquila_jax.train.state import init_state
from aquila_jax.train.step import train_step
from configs import small, tiny
from launch import kept
from launch.contestants import random_batch

BLOCKS, SECONDS = 41, 1.5  # blocks of each kind, and about how long each takes


@functools.partial(jax.jit, static_argnames="program", donate_argnames="state")
def with_signals(program, state, batch, control):
    """The step as it is trained with."""
    return train_step(program, state, batch, control)


@functools.partial(jax.jit, static_argnames="program", donate_argnames="state")
def without(program, state, batch, control):
    """The same, but for what only the monitor reads."""
    state, signals = train_step(program, state, batch, control)
    return state, (signals.loss, signals.skipped)


KINDS = {"with": with_signals, "without": without}


def measure(config: Config, mesh: jax.sharding.Mesh) -> dict:
    """CPU seconds a step of each block; the first block of each is left out."""
    program, train = program_of(config), config.train
    control = Control(*map(np.float32, neutral_control(config.optimizer, config.schedule, 0.0)))
    whole = random_batch(config.model.vocab, (1, train.batch, config.data.length))
    batch = feed.put(whole, mesh, train.batch)
    state = init_state(program, jax.random.key(0))
    counted = {name: counts(one, program, state, batch, control) for name, one in KINDS.items()}

    def block(one, steps: int) -> float:
        nonlocal state
        begun = time.process_time()
        for _ in range(steps):
            state, told = one(program, state, batch, control)
        jax.block_until_ready((state, told))
        return (time.process_time() - begun) / steps

    for one in KINDS.values():
        block(one, 1)
    steps = max(1, round(SECONDS / block(with_signals, 1)))
    rows = [[block(one, steps) for one in KINDS.values()] for _ in range(BLOCKS)]
    ratios = [with_ / without_ - 1 for with_, without_ in rows]
    middle = dict(zip(KINDS, map(statistics.median, zip(*rows, strict=True)), strict=True))
    quarters = statistics.quantiles(ratios, n=4)
    spread = {"cost": quarters[1], "quartiles": [quarters[0], quarters[2]]}
    return {"tokens": train.batch * config.data.length, "seconds": middle, **spread} | {
        "counted": counted
    }


def counts(one, program, *arguments) -> dict[str, float]:
    """Arithmetic and memory traffic as the compiler counts them, whatever else the machine does."""
    told = one.lower(program, *arguments).compile().cost_analysis()
    return {"flops": told["flops"], "bytes": told["bytes accessed"]}


def main() -> None:
    """Measures both configurations, prints and writes what they show."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    output, found = parser.parse_args().output, {}
    mesh = sharding.make_mesh({}, jax.devices()[:1])
    with jax.set_mesh(mesh):
        for module in (tiny, small):
            config = from_config_dict(module.get_config())
            found[config.name] = measure(config, mesh)
            print(config.name, json.dumps(found[config.name]), flush=True)
    kept.write(output, found)


if __name__ == "__main__":
    main()
