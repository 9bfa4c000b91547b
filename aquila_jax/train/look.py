"""Looking at a run from outside: the model of a checkpoint, and the documents behind a step."""

import bisect
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from aquila_jax import checkpoint
from aquila_jax import config as configuration
from aquila_jax.config import Config
from aquila_jax.core.journal import read_journal, read_lines
from aquila_jax.dmu import account, places, prior, recipe, staging, trace
from aquila_jax.dmu.store import TokenStore, open_store
from aquila_jax.dmu.stream import Stream
from aquila_jax.evaluate import suite
from aquila_jax.train import host, machinery, newcomers
from aquila_jax.train.host import HostState
from aquila_jax.train.state import TrainState, abstract_state
from aquila_jax.train.workdir import saved_config


def read_config(workdir: Path) -> Config:
    """The configuration that the run in `workdir` was started with, its paths filled in."""
    saved = configuration.build(Config, saved_config(workdir), "config")
    return configuration.located(saved, workdir)


def restore(
    config: Config, workdir: Path, *, step: int | None, report: Callable[[str], None]
) -> tuple[TrainState, HostState]:
    """The newest whole checkpoint, or that of `step`, on the mesh in force."""
    program = machinery.machine(config, open_store(config.data.store)).program
    checkpoints = checkpoint.Checkpoints(
        places.for_orbax(places.join(staging.home(workdir), "checkpoints")), keep=None
    )
    if step is not None and step not in checkpoints.steps():
        raise ValueError(
            f"{workdir} has no checkpoint of step {step}; it has {checkpoints.steps()}."
        )
    like = abstract_state(program, jax.sharding.get_mesh())
    restored = checkpoints.restore(like, step=step, report=report)
    checkpoints.close()
    if restored is None:
        raise ValueError(f"{workdir} has no checkpoint yet; train first.")
    newcomers.require_same(newcomers.open_all(config, restored[1]["joined"]), restored[1])
    return restored[0], host.from_json(restored[1])


def evaluate(
    workdir: Path, *, step: int | None, questions: tuple[str, ...], shots: int, report: Callable
) -> Iterator[dict]:
    """Lines as in evaluations.jsonl, measured now; `questions` beside the configuration's."""
    config = read_config(workdir)
    plan = dataclasses.replace(config.evaluate, shots=shots)
    items = suite.read(config.evaluate.questions + questions)
    with jax.set_mesh(machinery.mesh(config)):
        state, where = restore(config, workdir, step=step, report=report)
        store, length = newcomers.open_all(config, where.joined), config.data.length
        for line in suite.evaluate(plan, state.model, store, length=length, questions=items):
            yield {"step": where.step, "tokens": where.targets} | line


def plan(config: Config, store: TokenStore) -> account.Plan:
    """What the run of `config` is going to read of `store`."""
    length, total = config.data.length, config.schedule.total
    sizes = {info.name: info.tokens // length for info in store.manifest.train}
    if config.data.phases:
        shares = recipe.planned(config.data.phases, sizes, total=total, length=length)
    else:
        shares = prior.mixture(config.data.mixture, config.data.weights, sizes, total)
    return account.Plan(length, total, shares)


def documents(workdir: Path, step: int, *, report: Callable) -> list[trace.TracedDocument]:
    """The documents that one finished step of the run learned from, in their order."""
    stream, where = _stream(workdir, report)
    line = _finished(workdir, where.step).get(step)
    if line is None:
        raise ValueError(
            f"{workdir} has no step {step} up to its newest checkpoint, which is of step "
            f"{where.step}; only those can be traced, none that a rewind left behind."
        )
    first, last = line["sequences"] - line["batch"], line["sequences"]
    return trace.trace(stream, where.ledger, first, last)


def steps_with(
    workdir: Path, domain: str, document: int, *, report: Callable
) -> list[tuple[int, trace.Appearance]]:
    """The steps up to the newest checkpoint that learned from a part of one document, and where."""
    stream, where = _stream(workdir, report)
    lines = _finished(workdir, where.step)
    ends = [lines[step]["sequences"] for step in sorted(lines)]
    cursors = range(ends[-1] if ends else 0)
    found = trace.appearances(stream, where.ledger, domain, document, cursors=cursors)
    return [(sorted(lines)[bisect.bisect(ends, one.cursor)], one) for one in found]


def _finished(workdir: Path, last: int) -> dict[int, dict]:
    """The line of each step up to `last`, without those that a rewind left behind.

    A checkpoint knows the order of the data until it was made and along its own timeline.
    """
    journal = read_journal(workdir / "journal.jsonl")
    rewinds = [line for line in journal if line["kind"] == "rewind"]
    return {
        line["step"]: line
        for line in read_lines(workdir / "metrics.jsonl")
        if line["step"] <= last
        and not any(
            line["timeline"] < other["timeline"] and line["step"] > other["to_step"]
            for other in rewinds
        )
    }


def _stream(workdir: Path, report: Callable) -> tuple[Stream, HostState]:
    """What the run reads, and where its newest checkpoint stands."""
    config = read_config(workdir)
    with jax.set_mesh(machinery.mesh(config)):
        _, where = restore(config, workdir, step=None, report=report)
    store = newcomers.open_all(config, where.joined)
    return Stream(store, config.data.length, config.data.packing), where
