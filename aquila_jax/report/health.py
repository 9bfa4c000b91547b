"""How a run is, in one sentence and six numbers."""

import numpy as np

from aquila_jax.report import columns, records, timeline, words
from aquila_jax.report import goodput as goodputs
from aquila_jax.report.read import Run
from aquila_jax.report.words import Text

SILENCE = 600.0  # seconds without a record after which a run counts as stopped


def health(run: Run, now: float) -> dict:
    """Status, sentence, progress and tiles of a run at unix time `now`."""
    steps = records.steps_that_count(run)
    step, total = records.last_step(steps), records.planned_steps(run)
    status, lead = state(run, steps, now=now)
    forecast = records.last_forecast(run)
    going = status in {"healthy", "warning"} and total > step
    left = (total - step) * goodputs.pace(steps) if going else 0.0
    parts = [*_position(steps, step, total), *_ending(forecast, status)]
    if left > 0 and np.isfinite(left):
        parts.append(words.say("health.left", left=words.duration(left)))
    parts += [*_target(run, steps), *lagging(run), *_last_decision(run)]
    return {
        "status": status,
        "lead": lead,
        "text": words.sentence(parts),
        "progress": min(step / total, 1.0) if total else None,
        "tiles": tiles(run, steps, left=left, finished=status == "finished"),
    }


def state(run: Run, steps: columns.Columns, *, now: float) -> tuple[str, Text]:
    """One of healthy, warning, stopped, finished, waiting; and why."""
    last_event = run.events[-1].get("kind") if run.events else None
    total = records.planned_steps(run)
    if last_event == "failed":
        why = str(run.events[-1].get("why", "")).partition("\n")[0]
        return "stopped", words.say("health.failed", why=why)
    if not steps.size:
        return "waiting", words.say("health.waiting")
    if run.summary or last_event == "finish" or (total and records.last_step(steps) >= total):
        return "finished", words.say("health.finished")
    if last_event == "stop":
        return "stopped", words.say("health.stopped", why=_stopper(run))
    silent = now - records.last_time(run, steps)
    if silent > max(SILENCE, 30 * np.nan_to_num(goodputs.pace(steps))):
        return "stopped", words.say("health.silent", time=words.duration(silent))
    if not np.isfinite(steps["loss"][-1]):
        return "warning", words.say("health.not_finite", step=words.count(records.last_step(steps)))
    recent = records.last_step(steps) - max(100, 0.02 * total)
    alarms = [e for e in run.journal if e.get("kind") == "alarm" and e["step"] > recent]
    if alarms:
        kind = str(records.inner(alarms[-1], "alarm").get("kind"))
        at = words.count(alarms[-1]["step"])
        return "warning", words.say("health.alarm", kind=words.name("alarm", kind), step=at)
    return "healthy", words.say("health.healthy")


def _stopper(run: Run) -> Text:
    """Which rule stopped the run for a person to look; else what was asked of it."""
    asked = [e for e in run.journal if records.inner(e, "request").get("kind") == "stop"]
    if run.events[-1].get("why") == "called" and asked and asked[-1].get("rule"):
        return words.name("rule", str(asked[-1]["rule"]))
    return words.name("event", str(run.events[-1]["kind"]))


def _position(steps: columns.Columns, step: int, total: int) -> list[Text]:
    if not steps.size:
        return []
    at, value = words.count(step), words.loss(records.smoothed_loss(steps))
    if not total:
        return [words.say("health.at_step", step=at, loss=value)]
    return [words.say("health.at_step_of", step=at, total=words.count(total), loss=value)]


def _ending(forecast: dict, status: str) -> list[Text]:
    if not forecast or status == "finished":
        return []
    final = words.loss(records.number(forecast["final_loss"]))
    if records.number(forecast.get("calibrated_on")) > 0:
        low, high = (words.loss(records.number(forecast.get(end))) for end in ("low", "high"))
        return [words.say("health.forecast_band", final=final, low=low, high=high)]
    return [words.say("health.forecast", final=final)]


def _target(run: Run, steps: columns.Columns) -> list[Text]:
    """When the loss that the configuration names is reached, in steps and in time."""
    target = records.inner(records.last_told(run), "target")
    if not target or not steps.size:
        return []
    loss, now = words.loss(records.number(target.get("loss"))), records.last_step(steps)
    step, early, late = (records.whole(target.get(k), 0) for k in ("step", "earliest", "latest"))
    if not step:
        return [words.say("health.target_missed", loss=loss)]
    if step <= now:
        return [words.say("health.target_met", loss=loss)]
    told = {"loss": loss, "step": words.count(step)}
    told["time"] = words.duration((step - now) * goodputs.pace(steps))
    if not early:
        return [words.say("health.target", **told)]
    end = words.count(late) if late else "–"
    return [words.say("health.target_span", early=words.count(early), late=end, **told)]


def _last_decision(run: Run) -> list[Text]:
    decided = [i for i, entry in enumerate(run.journal) if entry.get("kind") == "decision"]
    if not decided:
        return []
    entry = run.journal[decided[-1]]
    shares = timeline.previous_weights(run.journal)[decided[-1]]
    key = "health.advice" if entry.get("mode") == "shadow" else "health.decision"
    at = words.count(entry["step"])
    return [words.say(key, step=at, what=timeline.what(entry, shares))]


def lagging(run: Run) -> list[Text]:
    """The language and the domain whose held-out bits per byte fell the least of late."""
    parts = [*_slowest(run, "languages"), *_slowest(run, "domains")]
    return [words.say("health.slowest", parts=words.listed(parts))] if parts else []


def _slowest(run: Run, group: str) -> list[Text]:
    falls = records.falls(run, group)
    slowest = records.slowest(falls)
    if slowest is None:
        return []
    name = words.name("language", slowest) if group == "languages" else slowest
    usual = columns.typical(np.array(list(falls.values())))
    told = {"change": words.change(-falls[slowest]), "usual": words.change(-usual)}
    return [words.say("health.change", name=name, **told)]


def tiles(run: Run, steps: columns.Columns, *, left: float, finished: bool) -> list[dict]:
    """Loss, forecast, time left, tokens, speed and goodput: label, value, detail."""
    if not steps.size:
        return []
    return [
        _tile("loss", words.loss(records.smoothed_loss(steps)), words.say("tile.nats")),
        _foretold_tile(run, steps) if finished else _forecast_tile(records.last_forecast(run)),
        _left_tile(records.last_time(run, steps), left, finished=finished),
        _tokens_tile(steps),
        _speed_tile(steps),
        _goodput_tile(run),
    ]


def _foretold_tile(run: Run, steps: columns.Columns) -> dict:
    """Of a finished run: what was forecast half-way, to lay beside where it ended."""
    half = records.last_step(steps) / 2
    told = next((entry for entry in records.forecasts(run) if entry["step"] >= half), {})
    return _forecast_tile(records.inner(told, "forecast"), label="foretold", missing="tile.never")


def _forecast_tile(forecast: dict, label: str = "forecast", missing: str = "tile.none") -> dict:
    final = words.loss(records.number(forecast.get("final_loss")))
    banded = records.number(forecast.get("calibrated_on")) > 0
    unbanded = words.say("tile.no_band" if forecast else missing)
    return _tile(label, final, _band(forecast) if banded else unbanded)


def _left_tile(last: float, left: float, *, finished: bool) -> dict:
    if finished:
        return _tile("left", "–", words.say("tile.ended", time=words.date(last)))
    if not (left > 0 and np.isfinite(left)):
        return _tile("left", "–", timeline.both(""))
    return _tile("left", words.duration(left), timeline.both(words.date(last + left)))


def _tokens_tile(steps: columns.Columns) -> dict:
    each = columns.typical(np.diff(steps["tokens"][-records.SMOOTH :], prepend=0.0))
    seen = words.compact(steps["tokens"][-1])
    return _tile("tokens", seen, words.say("tile.tokens_seen", n=words.compact(each)))


def _speed_tile(steps: columns.Columns) -> dict:
    speed, use = (
        columns.typical(steps[key][-records.SMOOTH :]) for key in ("tokens_per_second", "mfu")
    )
    detail = words.say("tile.mfu", share=words.percent(use, 1))
    known = np.isfinite(use)
    return _tile("speed", f"{words.compact(speed)}/s", detail if known else words.say("tile.tps"))


def _goodput_tile(run: Run) -> dict:
    spent = goodputs.goodput(run.metrics, run.events)
    whole = sum(spent.values())
    share = words.percent(spent["productive"] / whole) if whole else "–"
    return _tile("goodput", share, words.say("tile.of", time=words.duration(whole)))


def _band(forecast: dict) -> Text:
    low, high = (words.loss(records.number(forecast.get(end))) for end in ("low", "high"))
    return timeline.both(f"{low} – {high}")


def _tile(label: str, value: Text | str, detail: Text) -> dict:
    return {
        "label": words.say(f"tile.{label}"),
        "value": value if isinstance(value, dict) else timeline.both(value),
        "detail": detail,
    }
