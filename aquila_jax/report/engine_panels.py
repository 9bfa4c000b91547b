"""The panels about the engine: weights, optimiser, speed, and where the time went."""

from collections.abc import Callable

import numpy as np

from aquila_jax.report import columns, goodput, records, series, words
from aquila_jax.report.read import Run

# The nine types of the report's weight trajectory (arXiv 2408.07410, section 3.2.3) in the
# three groups that it compares: attention settles before the MLP.
TYPES = {
    "attention": ("query", "key", "value", "out"),
    "mlp": ("gate", "up", "down"),
    "norms": ("attention_norm", "mlp_norm"),
}
# key, axis, limits drawn with it
OPTIMISER = (
    ("grad_norm", "log", ("clip_norm", "grad_norm_limit")),
    ("learning_rate", "linear", ()),
    ("update_ratio", "log", ()),
    ("log_z_squared", "log", ()),
)
SPEED = (("tokens_per_second", "", 1.0), ("mfu", "%", 100.0), ("step_seconds", "s", 1.0))


def assessed(run: Run, pick: Callable[[dict], float]) -> tuple[np.ndarray, np.ndarray]:
    """Step and a number of each assessment that has it."""
    rows = records.keep([entry for entry in run.journal if entry["kind"] == "assessment"])
    x = np.array([row["step"] for row in rows], dtype=np.float64)
    y = np.array([pick(row) for row in rows], dtype=np.float64)
    return x[np.isfinite(y)], y[np.isfinite(y)]


def trajectory(runs: list[Run], group: str) -> dict:
    """Fréchet distance of the weights' spread over the layers, per billion tokens."""
    drawn = []
    for i, run in enumerate(runs):
        for kind in TYPES[group]:
            xy = assessed(run, lambda row, kind=kind: trajectory_of(row, kind))
            if len(xy[0]):
                drawn.append(series.line(i, words.name("weight", kind), xy, role="points"))
    return series.panel(f"trajectory-{group}", "trajectory", drawn, axis="log", unit="")


def trajectory_of(row: dict, kind: str) -> float:
    """The distance of one parameter type; NaN where there is none, or none above zero."""
    distance = records.number(records.inner(row, "trajectory").get(kind))
    return distance if distance > 0 else np.nan


def measured(steps: list[columns.Columns], key: str, axis: str, limits: tuple[str, ...]) -> dict:
    """A number of every step, thin and smoothed, with the limits in force."""
    drawn = []
    for i, table in enumerate(steps):
        values = table[key]
        positive = columns.Columns(
            {"step": table["step"], key: np.where(values > 0, values, np.nan)}, table.size
        )
        raw, mean = series.curve(positive, key), series.smoothed(positive, key)
        roles = (("raw", raw), ("main", mean)) if key != "learning_rate" else (("main", raw),)
        drawn += [
            series.line(i, words.say(f"series.{role}"), xy, role=role)
            for role, xy in roles
            if len(xy[0])
        ]
        for limit in limits if len(steps) == 1 else ():
            xy = series.curve(table, limit)
            if len(xy[0]):
                drawn.append(series.line(i, words.name("control", limit), xy, role="limit"))
    return series.panel(key, "optimiser", drawn, unit="", axis=axis)


def noise(runs: list[Run], steps: list[columns.Columns]) -> dict:
    """Gradient noise scale beside the batch: sequences."""
    drawn = []
    for i, (run, table) in enumerate(zip(runs, steps, strict=True)):
        xy = assessed(run, lambda row: records.number(row.get("noise_scale")))
        if not len(xy[0]):
            continue
        drawn.append(series.line(i, words.say("series.noise"), xy, role="points"))
        batch = series.curve(table, "batch")
        if len(batch[0]) and len(runs) == 1:
            drawn.append(series.line(i, words.say("series.batch"), batch, role="limit"))
    return series.panel("noise", "optimiser", drawn, unit="", axis="log")


def speed(steps: list[columns.Columns], key: str, unit: str, factor: float) -> dict:
    """Tokens a second, utilisation, or seconds a step."""
    drawn = []
    for i, table in enumerate(steps):
        x, y = series.smoothed(table, key)
        if len(x):
            drawn.append(series.line(i, words.say("series.main"), (x, factor * y), role="main"))
    return series.panel(key, "speed", drawn, unit=unit)


def times(runs: list[Run]) -> dict:
    """Share of all time by cause, one bar a run."""
    drawn = []
    for i, run in enumerate(runs):
        spent = goodput.goodput(run.metrics, run.events)
        whole = sum(spent.values())
        drawn += [
            {
                "run": i,
                "role": "bar",
                "name": words.say(f"cause.{cause}"),
                "cause": cause,
                "share": 100 * spent[cause] / whole,
                "text": words.duration(spent[cause]),
            }
            for cause in goodput.CAUSES
            if whole > 0 and spent[cause] / whole > 0.0005
        ]
    return series.panel("goodput", "speed", drawn, unit="%")
