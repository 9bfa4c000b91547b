"""Planted faults in real training, and healthy runs, through our detectors and the peers' rule.

    python launch/detector_study.py --work build/runs --output docs/results/detectors.json

A healthy run is stopped at three places; from there each trial goes on with the same data and one
fault. The trial without a fault tells what the loss would have been, and which alarms would have
come anyway. The healthy runs are those of `launch/runs_study.py`, which is to be called first.
Trials are written as they are done, and not done again by a later call.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from aquila_jax.core import sharding
from aquila_jax.train import cycle, rewind
from aquila_jax.train.cycle import Machine, Moment
from aquila_jax.train.machinery import opened
from aquila_jax.train.snapshots import Ring
from launch import data_faults, detector_table, kept, runs_study

PLACES = (500, 900, 1300)  # steps at which the healthy run is stopped, all before its decay
TRIALS = 20  # of each fault, over all places
WAIT = (8, 40)  # steps until the fault
LONGEST = 140  # steps that are followed after a place
PAST = 256  # steps before a place, which a spike rule has seen
JUMP, GROWTH = 10.0, 1.04  # of the learning rate: at once, and with every step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What a step is given that it should not be; `after` counts steps since the first bad one."""

    steps: int  # followed after it began
    batch: Callable = lambda batch, after, draw: batch
    rate: Callable[[int], float] = lambda after: 1.0
    state: Callable = lambda state, after, draw: state


def bad_batch(batch, after, draw):
    """Random tokens in all rows, for one step."""
    every = np.ones(batch.tokens.shape[:-1], bool)
    vocab = runs_study.VOCABULARY
    return data_faults.random_tokens(batch, every, vocab) if after == 0 else batch


def label_shuffle(batch, after, draw):
    """The targets of each row in another order, for one step."""
    if after:
        return batch
    return batch._replace(targets=draw.permuted(batch.targets, axis=-1))


def corrupted_weights(state, after, draw):
    """The numbers of one matrix of all layers in another order, once."""
    if after:
        return state
    leaves, structure = jax.tree.flatten(state.model)
    number = int(draw.choice([i for i, leaf in enumerate(leaves) if leaf.ndim > 2]))
    shuffled = draw.permuted(np.array(leaves[number]).ravel()).reshape(leaves[number].shape)
    leaves[number] = jax.device_put(shuffled, leaves[number].sharding)
    return dataclasses.replace(state, model=jax.tree.unflatten(structure, leaves))


FAULTS = {
    "none": Fault(steps=LONGEST),
    "bad_batch": Fault(steps=24, batch=bad_batch),
    "label_shuffle": Fault(steps=24, batch=label_shuffle),
    "corrupted_weights": Fault(steps=48, state=corrupted_weights),
    "rate_jump": Fault(steps=64, rate=lambda after: JUMP),
    "slow_divergence": Fault(steps=100, rate=lambda after: GROWTH**after),
}


def follow(
    machine: Machine, moment: Moment, last: int, fault: Fault, *, first: int, draw
) -> tuple[Moment, list[dict]]:
    """Runs on to step `last` with the fault from step `first` on; what each step showed."""
    state, host, told = moment.state, moment.host, []
    while host.step < last:
        batch = cycle.read_batch(machine, host, host.sequences)
        asked = host.control
        if (after := host.step + 1 - first) >= 0:
            batch, state = fault.batch(batch, after, draw), fault.state(state, after, draw)
            host = dataclasses.replace(host, control=asked._replace(lr_scale=fault.rate(after)))
        state, host, done = cycle.launch(machine, state, host, batch)
        # Nobody asked for that rate, so nobody who learns from the step knows of it.
        host = dataclasses.replace(host, control=asked)
        done = cycle.read(done)._replace(control=asked)
        host, lines, _ = cycle.learn(machine, cycle.count(host, done), done)
        told.append(
            {
                "step": done.step,
                "loss": float(done.signals.loss),
                "grad_norm": float(done.signals.grad_norm),
                "alarms": [line["alarm"]["kind"] for line in lines if line["kind"] == "alarm"],
            }
        )
    return Moment(state, host, ()), told


def healthy(machine: Machine, ring: Ring) -> list[dict]:
    """One run up to the last place, kept at each; what its steps showed."""
    moment, told = rewind.beginning(machine), []
    for place in PLACES:
        moment, more = follow(machine, moment, place, FAULTS["none"], first=1, draw=None)
        ring.keep(moment)
        told += more
    return told


def missing(done: dict) -> list[tuple[str, int]]:
    """Kind and number of the trials to make; one without a fault is enough for each place."""
    return [
        (kind, number)
        for number in range(TRIALS)
        for kind in FAULTS
        if f"{kind}/{number}" not in done and (kind != "none" or number < len(PLACES))
    ]


def trials(machine: Machine, output: pathlib.Path) -> None:
    """Those that are missing. Trial n of a kind begins at place n modulo their number."""
    done = kept.read(output, {})
    if not (left := missing(done)):
        return
    ring = Ring(len(PLACES))
    before = healthy(machine, ring)
    for kind, number in left:
        place, fault = PLACES[number % len(PLACES)], FAULTS[kind]
        draw = np.random.default_rng(number)  # the same step for every kind
        first = place + int(draw.integers(*WAIT))
        moment, last = ring.find(place), min(first + fault.steps, place + LONGEST)
        told = follow(machine, moment, last, fault, first=first, draw=draw)[1]
        past = [line for line in before if place - PAST < line["step"] <= place]
        done[f"{kind}/{number}"] = {"place": place, "first": first, "steps": told}
        done[f"{kind}/{number}"] |= {"past": past} if kind == "none" else {}
        kept.write(output, done)
        print(f"{kind}/{number}", flush=True)


def main() -> None:
    """Makes the trials that are missing, and prints the tables."""
    given, config = runs_study.another(__doc__)
    with jax.set_mesh(sharding.make_mesh({"data": -1}, jax.devices()[:1])):
        trials(opened(config, ()), given.work / "trials.json")
    told = detector_table.measure(kept.read(given.work / "trials.json", {}), given.work / "runs")
    kept.write(given.output, told)
    print("\n".join(detector_table.markdown(told)))


if __name__ == "__main__":
    main()
