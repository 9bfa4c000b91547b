"""The main job: batches in, signals out, decisions back. The one place where all rooms meet."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax

from aquila_jax.config import Config
from aquila_jax.core import sharding
from aquila_jax.train import summary
from aquila_jax.train.run import Run
from aquila_jax.train.stop import StopSignal


def train(
    config: Config, workdir: Path, *, report: Callable[[str], None] = print
) -> Literal["finished", "stopped"]:
    """Trains until the plan is done, or until told to stop; goes on where `workdir` stands.

    Every step: a batch from the stream, the compiled step, and, `train.lag` steps later, its
    signals to the monitor, whose assessment becomes a decision, which is written down and
    then changes the control, the ledger, or the course of this loop.
    """
    mesh = sharding.make_mesh(dict(config.train.mesh))
    with jax.set_mesh(mesh), Run(config, workdir, report=report) as run, StopSignal() as stop:
        while not run.finished:
            if stop.agreed(run.host.step):
                run.save()
                run.folder.event("stop", run.host.step)
                report(f"stopped after step {run.host.step}; the same command goes on from there")
                return "stopped"
            run.dispatch()
            run.settle(config.train.lag)
            if run.due(config.train.evaluate_every):
                run.evaluate()
            if run.due(config.train.checkpoint_every):
                run.save()
        run.finish()
        told = summary.summarise(run)
        run.folder.write_json("summary.json", told)
        for line in summary.in_words(told):
            report(line)
        return "finished"
