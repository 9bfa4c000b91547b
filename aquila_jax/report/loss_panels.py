"""The panels about the loss: where it is, where it will end, and what that is worth."""

import numpy as np

from aquila_jax.report import columns, records, series, timeline, words
from aquila_jax.report.read import Run
from aquila_jax.report.words import Text


def loss(runs: list[Run], steps: list[columns.Columns]) -> dict:
    """Training loss, raw and smoothed, what a rewind left behind, and where it will end."""
    drawn, ends, spans, marks = [], [], [], []
    for i, (run, table) in enumerate(zip(runs, steps, strict=True)):
        left = columns.take(run.metrics, ~columns.counts(run.metrics["step"]))
        curves = (
            ("raw", series.curve(table, "loss", series.POINTS)),
            ("main", series.smoothed(table, "loss", series.POINTS // 2)),
            ("left", series.curve(left, "loss")),
        )
        drawn += [
            series.line(i, words.say(f"series.{role}"), xy, role=role)
            for role, xy in curves
            if len(xy[0])
        ]
        ends += [ending(run, table, i)]
        spans += phases(run, records.last_step(table), i)
        marks += events(run, table, i)
    ends = [end for end in ends if end]
    return series.panel(
        "loss", "loss", drawn, unit="nats", ends=ends, spans=spans, marks=marks,
        range=view(steps, ends), note=calibration(runs[0]) if len(runs) == 1 else None,
    )  # fmt: skip


def ending(run: Run, table: columns.Columns, number: int) -> dict | None:
    """The forecast from here to the end of the plan; a band only if it has been calibrated."""
    forecast, total = records.last_forecast(run), records.planned_steps(run)
    if not forecast or total <= records.last_step(table) or not table.size:
        return None
    banded = records.number(forecast.get("calibrated_on")) > 0
    return {
        "run": number,
        "x": [records.last_step(table), total],
        "y": [records.smoothed_loss(table), records.number(forecast["final_loss"])],
        "band": [records.number(forecast.get(end)) for end in ("low", "high")] if banded else None,
    }


def calibration(run: Run) -> Text | None:
    """How the band was calibrated, or why there is none."""
    forecast = records.last_forecast(run)
    if not forecast:
        return words.say("loss.no_forecast")
    known = records.number(forecast.get("calibrated_on"))
    step = words.count(records.whole(forecast.get("step"), 0))
    if not known > 0:
        return words.say("loss.uncalibrated", step=step)
    coverage = words.percent(records.number(forecast.get("coverage")))
    return words.say("loss.calibrated", coverage=coverage, n=words.count(known), step=step)


def view(steps: list[columns.Columns], ends: list[dict]) -> list[float] | None:
    """The losses worth seeing: from the 3rd hundredth of the run on, and the forecast."""
    tops, lows = [], []
    for table in steps:
        later = series.smoothed(table, "loss")[1]
        later = later[np.isfinite(later)][len(later) // 33 :]
        if len(later):
            tops, lows = [*tops, later.max()], [*lows, later.min()]
    lows += [value for end in ends for value in [*(end["band"] or []), end["y"][1]]]
    lows = [low for low in lows if np.isfinite(low)]
    if not tops:
        return None
    margin = 0.06 * (max(tops) - min(lows)) + 1e-3
    return [float(min(lows) - margin), float(max(tops) + margin)]


def phases(run: Run, last: int, number: int) -> list[dict]:
    """Phases as [first, last] steps; a phase lasts until the next one begins."""
    begun = [entry for entry in run.journal if entry["kind"] == "phase"]
    begun = [(records.whole(entry.get("first_step"), entry["step"]), entry) for entry in begun]
    ends = [*(first for first, _ in begun), max(last, records.planned_steps(run))][1:]
    return [
        {"run": number, "name": str(entry.get("name", "?")), "x": [first, end]}
        for (first, entry), end in zip(begun, ends, strict=True)
        if end > first
    ]


def events(run: Run, table: columns.Columns, number: int) -> list[dict]:
    """Decisions, alarms and interruptions as points on the smoothed loss, with their entry."""
    x, y = series.smoothed(table, "loss", series.POINTS)
    shown = ("decision", "alarm", "rewind", "steer", "event")
    found = [entry for entry in timeline.entries(run, number) if entry["kind"] in shown]
    known = np.isfinite(y)
    if not known.any():
        return []
    return [
        {
            "run": number,
            "x": entry["step"],
            "y": float(np.interp(entry["step"], x[known], y[known])),
            "kind": entry["kind"],
            "text": entry["what"],
            "entry": entry["id"],
        }
        for entry in found[:400]
    ]


def accuracy(runs: list[Run]) -> dict:
    """Share of questions answered rightly, per language, of each checkpoint."""
    drawn = []
    for i, run in enumerate(runs):
        rows = records.keep([row for row in run.evaluations if row.get("kind") == "questions"])
        languages = dict.fromkeys(key for row in rows for key in records.inner(row, "accuracy"))
        for language in languages:
            values = [records.number(records.inner(row, "accuracy").get(language)) for row in rows]
            xy = (np.array([row["step"] for row in rows]), 100 * np.array(values))
            drawn.append(series.line(i, words.name("language", language), xy, role="points"))
        chance = [100 * records.number(row.get("chance")) for row in rows]
        if len(runs) == 1 and np.isfinite(chance).any():
            xy = (np.array([row["step"] for row in rows]), np.array(chance))
            drawn.append(series.line(i, words.say("series.chance"), xy, role="limit"))
    return series.panel("accuracy", "loss", drawn, unit="%")


def forecasts(runs: list[Run]) -> dict:
    """The final loss as it was told at each step, before it was known."""
    drawn = []
    for i, run in enumerate(runs):
        told = [
            records.inner(entry, "forecast") for entry in run.journal if entry["kind"] == "forecast"
        ]
        told = records.keep([{"step": 0} | value for value in told])
        if not told:
            continue
        x = np.array([value["step"] for value in told])
        final, low, high, known = (
            np.array([records.number(value.get(key)) for value in told])
            for key in ("final_loss", "low", "high", "calibrated_on")
        )
        banded = {
            "low": np.where(known > 0, low, np.nan),
            "high": np.where(known > 0, high, np.nan),
        }
        band = {key: value.astype(np.float32) for key, value in banded.items()}
        more = {"band": band} if (known > 0).any() else {}
        drawn.append(
            series.line(i, words.say("series.forecast"), (x, final), role="points", **more)
        )
    note = outlook(runs[0]) if len(runs) == 1 else None
    return series.panel("forecasts", "loss", drawn, unit="nats", note=note)


def outlook(run: Run) -> Text | None:
    """What other schedules would give, and from when on more tokens hardly help."""
    told = records.last_told(run)
    ends = {name: records.number(end) for name, end in records.inner(told, "schedules").items()}
    parts = [
        words.say("loss.decay_now", final=words.loss(end))
        if name == "now"
        else words.say("loss.decay_share", final=words.loss(end), share=words.percent(float(name)))
        for name, end in ends.items()
    ]
    open_yet = set(ends) - {"now"}  # else the decay has begun, and nothing is left to choose
    said = [words.say("loss.schedules", parts=words.listed(parts))] if open_yet else []
    flat = records.inner(told, "saturation")
    if flat.get("trusted"):
        step, early, late = (
            words.count(records.number(flat.get(key))) for key in ("step", "earliest", "latest")
        )
        gain = words.loss(records.number(flat.get("gain")))
        said.append(words.say("loss.saturation", gain=gain, step=step, early=early, late=late))
    elif flat:
        said.append(words.say("loss.saturation_far"))
    return words.sentence(said) if said else None
