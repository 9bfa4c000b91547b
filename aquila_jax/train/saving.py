"""Where a run stands as a checkpoint: begun behind the steps, or whole before anything goes on."""

from collections.abc import Callable

from aquila_jax.checkpoint import CheckpointError
from aquila_jax.train import host as hosts
from aquila_jax.train import rewind


def begin(run) -> None:
    """Starts writing; what fails is told, and tried at the next."""
    try:
        _write(run, run.checkpoints.save)
    except (CheckpointError, OSError) as error:
        run.report(str(error))


def over(run) -> None:
    """In place of the checkpoints of this step and of later ones; CheckpointError if it cannot."""
    try:
        run.checkpoints.wait()
        if run.saved is run.host:  # begun a moment ago, and whole
            return
    except CheckpointError as error:  # of an earlier step, which this one makes good
        run.report(str(error))
    _write(run, run.checkpoints.replace)


def _write(run, write: Callable) -> None:
    begun = run.waited()
    run.folder.event("hosts", run.host.step, **run.fleet.survey(run.state))
    run.checkpoints.lasting = run.host.roots
    more = {
        "inflight": rewind.to_json(run.inflight, run.records.line),
        "store": run.machine.stream.store.manifest.identity(),
        "finished": run.done,
    }
    write(run.host.step, run.state, hosts.to_json(run.host) | run.folder.counts() | more)
    run.saved = run.host
    run.records.pause("save", run.host.step, begun)
