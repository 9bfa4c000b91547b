"""An evaluation on the way: what the model can do now, told, and held against the one before."""

from aquila_jax.evaluate import suite
from aquila_jax.train import cycle
from aquila_jax.train.host import HostState


def examine(run) -> HostState:
    """Measures the model of a `Run` where it stands; the host's state after it."""
    where, lines = {"step": run.host.step, "tokens": run.host.targets}, []
    config, store = run.config, run.machine.stream.store
    for line in suite.evaluate(
        config.evaluate,
        run.state.model,
        store,
        length=config.data.length,
        questions=run.questions,
    ):
        lines.append(where | line)
        run.records.evaluation(lines[-1])
        run.report(suite.in_words(line))
    host, told = cycle.judge(run.machine, run.host, lines)
    run.tell(host.step, told)
    return host
