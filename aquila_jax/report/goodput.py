"""Where the time of a run went: productive steps over all time, and the rest by cause."""

import numpy as np

from aquila_jax.report import columns

CAUSE_OF = {
    "start": "startup",
    "probe": "trial",
    "branch": "trial",
    "resume": "startup",
    "compile": "compile",
    "save": "save",
    "snapshot": "save",
    "rewind": "restore",
    "evaluate": "evaluate",
    "stall": "stall",
}
LEAP = 1800.0  # seconds
CAUSES = (
    "productive", "repeated", "startup", "trial", "compile", "save", "restore", "evaluate", "stall",
    "down", "other",
)  # fmt: skip


def goodput(metrics: columns.Columns, events: tuple[dict, ...]) -> dict[str, float]:
    """Seconds by cause; they add up to all time from the first record to the last.

    `metrics` in the order of the file. An event's `time` is the moment it was over and its
    `seconds` the time for which it held the steps up. Steps that were left behind by a rewind
    are `repeated`; `down` lies between the last sign of life and the next start. Where steps
    and events overlap, the events win, so productive time is never overstated.
    """
    events = tuple(event for event in events if seconds(event, "time") > 0)
    spent = dict.fromkeys(CAUSES, 0.0)
    for event in events:
        if event.get("kind") in CAUSE_OF:
            spent[CAUSE_OF[event["kind"]]] += seconds(event, "seconds")
    spent["down"] = _down(metrics["time"], events)
    whole = elapsed(metrics, events)

    stepping = metrics["step_seconds"]
    # The step after a pause is not timed: it counts as the usual step.
    stepping = np.where(np.isfinite(stepping), stepping, columns.typical(stepping))
    stepping = np.nan_to_num(stepping, nan=0.0)
    useful = columns.counts(metrics["step"])
    productive, repeated = stepping[useful].sum(), stepping[~useful].sum()
    free = max(whole - sum(spent.values()), 0.0)
    fits = min(1.0, free / max(productive + repeated, 1e-9))
    spent["productive"], spent["repeated"] = float(productive * fits), float(repeated * fits)
    spent["other"] = free - spent["productive"] - spent["repeated"]
    return spent


def seconds(event: dict, key: str) -> float:
    """A duration or time of an event; 0 where it has none that makes sense."""
    value = event.get(key)
    sensible = isinstance(value, int | float) and np.isfinite(value) and value > 0
    return float(value) if sensible else 0.0


def elapsed(metrics: columns.Columns, events: tuple[dict, ...]) -> float:
    """Seconds from the first record to the last; where the clock jumps back, step by step."""
    begins = [seconds(event, "time") - seconds(event, "seconds") for event in events]
    ends = [seconds(event, "time") for event in events]
    times = metrics["time"]
    known = np.isfinite(times)
    times = times[known]
    if not len(times):
        return max(ends) - min(begins) if ends else 0.0
    lasted = np.nan_to_num(metrics["step_seconds"][known], nan=0.0)
    between = np.diff(times)
    odd = (between < 0) | _ahead(times, lasted, events)
    inside = np.where(odd, lasted[1:], between).sum()
    before = times[0] - (begins[0] if begins else times[0] - lasted[0])
    after = ends[-1] - times[-1] if ends else 0.0
    return float(inside + max(before, 0.0) + max(after, 0.0))


def _down(times: np.ndarray, events: tuple[dict, ...]) -> float:
    starts = [event for event in events if event.get("kind") in {"start", "resume"}]
    signs = np.array([seconds(event, "time") for event in events])
    signs = np.sort(np.concatenate([signs, times[np.isfinite(times)]]))
    down = 0.0
    for start in starts[1:]:
        begin = seconds(start, "time") - seconds(start, "seconds")
        earlier = signs[signs < begin]
        down += float(begin - earlier[-1]) if len(earlier) else 0.0
    return down


def clock_jumps(metrics: columns.Columns) -> list[tuple[int, float]]:
    """(step, seconds) of each place where the clock went back."""
    between = np.diff(metrics["time"])
    back = np.flatnonzero(between < 0)
    return [(int(metrics["step"][i + 1]), float(-between[i])) for i in back]


def clock_leaps(metrics: columns.Columns, events: tuple[dict, ...]) -> list[tuple[int, float]]:
    """(step, seconds) of each place where the clock went ahead of the steps, with no event there."""
    times, lasted = metrics["time"], np.nan_to_num(metrics["step_seconds"], nan=0.0)
    ahead = np.flatnonzero(_ahead(times, lasted, events))
    gone = np.diff(times) - lasted[1:]
    return [(int(metrics["step"][i + 1]), float(gone[i])) for i in ahead]


def _ahead(times: np.ndarray, lasted: np.ndarray, events: tuple[dict, ...]) -> np.ndarray:
    """Which moves of the clock are explained neither by the step that was timed nor by an event."""
    told = np.sort(np.array([seconds(event, "time") for event in events]))
    between = np.searchsorted(told, times, side="right")
    return (np.diff(times) - lasted[1:] > LEAP) & (lasted[1:] > 0) & (np.diff(between) == 0)


def pace(metrics: columns.Columns) -> float:
    """Seconds a step lately, with evaluations and saves but without interruptions; NaN: unknown."""
    times, steps = metrics["time"][-500:], metrics["step"][-500:]
    usual = columns.typical(metrics["step_seconds"][-500:])
    between, done = np.diff(times), np.diff(steps)
    # Evaluations and saves belong to the pace; a night without a machine does not.
    longest = max(60.0, 50 * np.nan_to_num(usual))
    steady = (between > 0) & (between < longest) & (done > 0)
    if steady.sum() < 5:
        return usual
    return float(between[steady].sum() / done[steady].sum())
