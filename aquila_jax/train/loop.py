"""The main job: batches in, signals out, decisions back.

What a turn does to devices, host and files stands in `run`; what it computes, in `cycle`.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import jax

from aquila_jax.config import Config
from aquila_jax.train import distributed, machinery, summary
from aquila_jax.train.run import Run
from aquila_jax.train.stop import StopSignal


def train(
    config: Config,
    workdir: Path,
    *,
    report: Callable[[str], None] = print,
    devices: Sequence[jax.Device] | None = None,
) -> Literal["finished", "stopped", "called"]:
    """Trains until the plan is done, or until told to stop; goes on where `workdir` stands.

    Every step: a batch from the stream, the compiled step, and, `train.lag` steps later, its
    signals to the monitor, whose assessment becomes a decision, which is written down and
    then changes the control, the ledger, or the course of this loop. "called" means that the
    mentor, or a person, stopped the run for a person to look at. `devices`: all by default.
    """
    with (
        jax.set_mesh(machinery.mesh(config, devices)),
        StopSignal() as stop,
        distributed.together(),  # while the run is opened
        Run(config, workdir, report=report) as run,
        # And before it is closed, which waits for all.
        distributed.together(lambda error: abandon(run, error)),
    ):
        while not run.finished:
            if stop.agreed(run.host.step):
                return leave(run, "stopped")
            turn = run.listen()
            if turn == "on":
                run.dispatch()
                turn = run.settle()
            if turn == "stop":
                return leave(run, "called")
            if turn == "back" or run.finished:
                continue
            if run.due(config.train.evaluate_every):
                run.evaluate()
            if run.due(config.mentor.snapshot_every) and config.mentor.mode == "act":
                run.remember()
            if run.due(config.train.checkpoint_every):
                run.save()
        run.finish()
        told = summary.summarise(run)
        run.folder.write_json("summary.json", told)
        for line in summary.in_words(told):
            report(line)
        return "finished"


def abandon(run: Run, error: Exception) -> None:
    """Notes what one of several processes ends by, and lets another run have the folder."""
    with contextlib.suppress(OSError):
        run.folder.failed(run.host.step, error)
        run.folder.close()


def leave(run: Run, outcome: Literal["stopped", "called"]) -> Literal["stopped", "called"]:
    """Saves where the run stands; the same command goes on from there."""
    run.save_over()
    run.folder.event("stop", run.host.step, why=outcome)
    run.report(f"stopped after step {run.host.step}; the same command goes on from there")
    return outcome
