"""The gradient-noise scale of ordinary steps against a direct measurement, at fixed weights.

    python launch/noise_study.py --work build/runs --output docs/results/noise.json

A small model is trained on real text and stopped at some places. There the weights are held (a
learning rate of 0), and the monitor's estimate from steps of 8 micro-batches is compared with the
spread of the gradients of many large batches. The store is that of `launch/runs_study.py`.
"""

import functools
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from aquila_jax.core import feed, sharding
from aquila_jax.core.signals import Control
from aquila_jax.train import rewind, step
from aquila_jax.train.machinery import opened
from aquila_jax.tsm import noise
from launch import kept, runs_study

PLACES = (150, 600)  # steps
MICRO, ACCUMULATE = 8, 8  # sequences, micro-batches
ESTIMATES, STEPS = 2, 100  # independent estimates, each from so many steps
DIRECT = 64  # gradients, each of a large batch
LARGE = 8 * MICRO  # sequences


def estimate(machine, state, host, *, first: int) -> noise.NoiseScale:
    """What the monitor says after some steps that change nothing, on data from `first` on."""
    known = noise.start()
    held = Control(*map(np.float32, host.control._replace(lr_scale=0.0)))
    for number in range(STEPS):
        batch = read(machine, host, first + number * MICRO * ACCUMULATE, ACCUMULATE)
        state, told = step.train_step(machine.program, state, batch, held)
        known = noise.observe(
            noise.NoiseSettings(),
            known,
            micro_grad_square=float(told.micro_grad_square),
            grad_norm=float(told.grad_norm),
            batch=MICRO * ACCUMULATE,
            micro_batches=ACCUMULATE,
        )
    return noise.scale(known)


def direct(machine, model, host, *, first: int) -> np.ndarray:
    """`[R, P]`: the gradients of R batches, each over all of its sequences."""
    objective = functools.partial(
        step.loss, program=machine.program, z_loss=0.0, statistics="light"
    )
    gradient = jax.jit(lambda model, batch: step.gradients(objective, model, batch)[0])
    rows = []
    for number in range(DIRECT):
        batch = read(machine, host, first + number * LARGE, LARGE // MICRO)
        rows.append(np.concatenate([np.ravel(x) for x in jax.tree.leaves(gradient(model, batch))]))
    return np.stack(rows)


def read(machine, host, first: int, micro_batches: int):
    """`[A, B, L]` from that sequence on."""
    batch = machine.stream.batch(host.ledger, first, (micro_batches, MICRO), slice(None))
    return feed.put(batch, machine.mesh, MICRO)


def study(machine) -> list[dict]:
    """One row a place."""
    found, moment = [], rewind.beginning(machine)
    far = machine.config.schedule.total  # data not trained on
    for place in PLACES:
        moment = rewind.advance(machine, moment, place, steer=lambda host: host)
        gradients = direct(machine, moment.state.model, moment.host, first=far)
        halves = [noise.measured(half, LARGE) for half in np.split(gradients, 2)]
        told = []
        for number in range(1, 1 + ESTIMATES):
            copy = jax.tree.map(lambda x: x.copy(), moment.state)
            first = far + number * STEPS * MICRO * ACCUMULATE
            told.append(estimate(machine, copy, moment.host, first=first)._asdict())
        whole = noise.measured(gradients, LARGE)
        found.append({"step": place, "direct": whole, "halves": halves, "estimates": told})
        print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    """Measures at each place, and writes all of it."""
    given, config = runs_study.another(__doc__)
    with jax.set_mesh(sharding.make_mesh({"data": -1}, jax.devices()[:1])):
        found = study(opened(config, ()))
    kept.write(given.output, found)


if __name__ == "__main__":
    main()
