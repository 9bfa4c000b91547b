"""What the records of a run say: the steps that count, the plan, forecasts, evaluations."""

import numpy as np

from aquila_jax.report import columns
from aquila_jax.report import goodput as goodputs
from aquila_jax.report.read import EXACT, Run

SMOOTH = 100  # steps behind a smoothed value, at most
GROUPS = {"languages": "language_loss", "domains": "domain_loss"}


def steps_that_count(run: Run) -> columns.Columns:
    """The steps of a run without those that a rewind or a resume left behind."""
    return columns.take(run.metrics, columns.counts(run.metrics["step"]))


def last_time(run: Run, steps: columns.Columns) -> float:
    """Unix time of the last sign of life."""
    times = [goodputs.seconds(event, "time") for event in run.events[-1:]]
    known = steps["time"][np.isfinite(steps["time"])]
    return max([*times, *known[-1:]], default=0.0)


def last_step(steps: columns.Columns) -> int:
    """The last finished step; 0 before the first."""
    return int(steps["step"][-1]) if steps.size else 0


def planned_steps(run: Run) -> int:
    """Steps of the plan in force: the latest forecast's, else the configuration's; 0: unknown."""
    for entry in reversed(run.journal):
        total = inner(entry, "plan").get("total_steps")
        if entry.get("kind") == "forecast" and whole(total, 0) > 0:
            return int(total)
    sequences = whole(inner(run.config, "schedule").get("total"), 0)
    batch = whole(inner(run.config, "train").get("batch"), 0)
    return -(-sequences // batch) if batch > 0 else 0


def last_forecast(run: Run) -> dict:
    """The latest forecast of the journal; empty if there is none."""
    return inner(last_told(run), "forecast")


def forecasts(run: Run) -> list[dict]:
    """The journal's entries with a forecast, its plan and what else follows from it."""
    told = (entry for entry in run.journal if entry["kind"] == "forecast")
    return [entry for entry in told if "final_loss" in inner(entry, "forecast")]


def last_told(run: Run) -> dict:
    """The latest of them; empty if there is none."""
    return next(reversed(forecasts(run)), {})


def language_of(run: Run) -> dict[str, str]:
    """Domain -> language, as the journal's first entry has it, and of sources that joined."""
    told = (inner(entry, "domains") for entry in run.journal if entry["kind"] == "start")
    named = dict(next(told, {}))
    for entry in run.journal:
        joined = inner(entry, "add_source").get("domains", {})
        named |= {name: domain["language"] for name, domain in joined.items()}
    return named


def smoothed_loss(steps: columns.Columns) -> float:
    """Mean loss of the last steps, nats."""
    return lately(steps["loss"])


def lately(values: np.ndarray) -> float:
    """Mean of the last steps, by the window of the smoothed curves; NaN if there are none."""
    known = values[np.isfinite(values)]
    return float(known[-window(len(known)) :].mean()) if len(known) else float("nan")


def window(size: int) -> int:
    """Steps behind a smoothed value: 2 % of those known, between 5 and 100."""
    return max(5, min(SMOOTH, size // 50))


def heldout(run: Run, group: str) -> dict[str, list[tuple[int, float]]]:
    """(step, bits per byte) of each domain or language in the held-out evaluations that count."""
    rows = [row for row in run.evaluations if row.get("kind") == "heldout"]
    rows = keep(rows)
    found = {}
    for row in rows:
        for name, value in inner(row, group).items():
            bits = number(value.get("bits_per_byte") if isinstance(value, dict) else value)
            found.setdefault(name, []).append((row["step"], bits))
    return found


def falls(run: Run, group: str) -> dict[str, float]:
    """Relative fall of held-out bits per byte over the last half of the run so far.

    Nothing where no evaluation lies near its middle: a fall from the very beginning is no such one.
    """
    found = {}
    for name, curve in heldout(run, group).items():
        last, then = curve[-1], min(curve, key=lambda point: abs(point[0] - curve[-1][0] / 2))
        if (
            last[0] > then[0] >= last[0] / 4
            and np.isfinite([last[1], then[1]]).all()
            and then[1] > 0
        ):
            found[name] = 1 - last[1] / then[1]
    return found


def slowest(falls: dict[str, float]) -> str | None:
    """The name that fell the least; None if there is nothing to compare."""
    return min(falls, key=falls.get) if len(falls) > 1 else None


def keep(rows: list[dict]) -> list[dict]:
    """The rows that no later row supersedes."""
    useful = columns.counts(np.array([row["step"] for row in rows], dtype=np.float64))
    return [row for row, counted in zip(rows, useful, strict=True) if counted]


def inner(entry: dict, key: str) -> dict:
    """The object under `key`; empty if there is none."""
    value = entry.get(key)
    return value if isinstance(value, dict) else {}


def listed(entry: dict, key: str) -> list:
    """The list under `key`; empty if there is none."""
    value = entry.get(key)
    return value if isinstance(value, list) else []


def number(value: object) -> float:
    """A float, NaN for anything else."""
    return float(value) if isinstance(value, int | float) else float("nan")


def whole(value: object, otherwise: int) -> int:
    """An integer that a page can count, or what is given instead."""
    known = isinstance(value, int | float) and abs(value) <= EXACT
    return int(value) if known else otherwise
