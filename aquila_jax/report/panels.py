"""What the page draws, as plain values: panels of series, for one run or several together."""

from aquila_jax.report import data_panels, engine_panels, loss_panels, records
from aquila_jax.report.read import Run


def panels(runs: list[Run]) -> list[dict]:
    """All panels that have something to show, in the order of the page."""
    steps = [records.steps_that_count(run) for run in runs]
    found = [loss_panels.loss(runs, steps), loss_panels.accuracy(runs), loss_panels.forecasts(runs)]
    found += data_panels.multiples(runs, steps)
    found += [data_panels.mixture(run, steps[i], i) for i, run in enumerate(runs)]
    found += [engine_panels.trajectory(runs, group) for group in engine_panels.TYPES]
    found += [engine_panels.measured(steps, *quantity) for quantity in engine_panels.OPTIMISER]
    found += [engine_panels.noise(runs, steps)]
    found += [engine_panels.speed(steps, *quantity) for quantity in engine_panels.SPEED]
    found += [engine_panels.times(runs)]
    return [panel for panel in found if panel["series"]]
