"""What the light signals cost: the step with them against the step that gives its loss only.

    python launch/signal_cost.py --work build/runs --output docs/results/signal_cost.json

From the second step the compiler removes all that nobody reads, so the difference is what the
signals cost. CPU time of this process, the two by turns, on real text. Set XLA to one thread. The
store is that of `launch/runs_study.py`.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax  # noqa: E402
import numpy as np  # noqa: E402

from aquila_jax.config import Config  # noqa: E402
from aquila_jax.core import feed, sharding  # noqa: E402
from aquila_jax.core.signals import Control  # noqa: E402
from aquila_jax.dmu.store import open_store  # noqa: E402
from aquila_jax.train import rewind  # noqa: E402
from aquila_jax.train.machinery import machine as machine_of  # noqa: E402
from aquila_jax.train.step import train_step  # noqa: E402
from configs import small  # noqa: E402
from launch import runs_study  # noqa: E402

BLOCKS, STEPS = 11, {"0.36 M": 24, "6 M": 1}  # blocks of each kind, steps a block


def configs(store: str) -> dict[str, Config]:
    """A model of the runs study, and that of configs/small.py with the store's vocabulary."""
    least = runs_study.config_of(store, "constant", "small", mixture="uniform", seed=0)
    shape = dict(small.get_config().model) | {"vocab": runs_study.VOCABULARY}
    model = dataclasses.replace(least.model, **shape)
    data = dataclasses.replace(least.data, length=128)
    return {"0.36 M": least, "6 M": dataclasses.replace(least, model=model, data=data)}


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


def measure(config: Config, steps: int) -> dict:
    """CPU seconds a step of each block; the first block of each is left out."""
    machine = machine_of(config, open_store(config.data.store))
    state, host, _ = rewind.beginning(machine)
    control = Control(*map(np.float32, host.control))
    shape = (1, config.train.batch)
    local = machine.stream.batch(host.ledger, 0, shape, slice(None))
    batch = feed.put(local, machine.mesh, config.train.batch)
    counted = {
        name: counts(one, machine.program, state, batch, control) for name, one in KINDS.items()
    }
    seconds = {name: [] for name in KINDS}
    for number in range(BLOCKS + 1):
        for name, one in KINDS.items():
            begun = time.process_time()
            for _ in range(steps):
                state, told = one(machine.program, state, batch, control)
            jax.block_until_ready((state, told))
            seconds[name] += [(time.process_time() - begun) / steps] if number else []
    pairs = zip(seconds["with"], seconds["without"], strict=True)
    ratios = [a / b - 1 for a, b in pairs]
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    quarters = statistics.quantiles(ratios, n=4)
    spread = {"cost": quarters[1], "quartiles": [quarters[0], quarters[2]]}
    return {"seconds": middle, **spread, "counted": counted}


def counts(one, program, *arguments) -> dict[str, float]:
    """Arithmetic and memory traffic as the compiler counts them, whatever else the machine does."""
    told = one.lower(program, *arguments).compile().cost_analysis()
    return {"flops": told["flops"], "bytes": told["bytes accessed"]}


def main() -> None:
    """Measures both models, prints and writes what they show."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=pathlib.Path, required=True, help="that of runs_study.py")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    given = parser.parse_args()
    found = {}
    with jax.set_mesh(sharding.make_mesh({"data": -1}, jax.devices()[:1])):
        for name, config in configs(str(given.work / "store")).items():
            found[name] = measure(config, STEPS[name])
            print(name, json.dumps(found[name]), flush=True)
    given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
