"""Finished runs to test forecasts on: published curves, or working directories of our own."""

import dataclasses
import json
import pathlib

import numpy as np

from aquila_jax.tsm import law, points

MIN_EVALUATIONS = 60  # so that 12 lie in a fifth of the run; with fewer, the training loss is read
FINAL_SHARE = 0.02  # of a run: its training loss is averaged over, to know where it ended


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A whole run: the plan it followed, its losses, and where it ended."""

    name: str
    fold: str  # runs of one fold are never told about each other
    parameters: float
    plan: law.Plan
    steps: np.ndarray  # [n]
    loss: np.ndarray  # [n], nats
    block: int  # 1: evaluations; more: steps of a training loss
    final: float

    def seen(self, step: float) -> points.Observed:
        """The points that a monitor would hold at that step."""
        kept = points.Points(block=self.block)
        known = self.steps <= step
        for at, loss in zip(self.steps[known].tolist(), self.loss[known].tolist(), strict=True):
            kept = points.add(kept, at, loss)
        return points.observed(kept)


def read_curves(folder: pathlib.Path) -> list[Run]:
    """All `SIZE_SCHEDULE.csv` of a folder: step, lr, loss after the warm-up, size in millions."""
    runs = [_read_curve(path) for path in sorted(folder.glob("*_*.csv"))]
    if not runs:
        raise ValueError(f"{folder} holds no curve named SIZE_SCHEDULE.csv.")
    return runs


def _read_curve(path: pathlib.Path) -> Run:
    steps, rate, loss = np.loadtxt(path, delimiter=",", skiprows=1, unpack=True)
    steps, warmup = steps.astype(int), int(steps[0])
    every = np.arange(1, steps[-1] + 1)
    rates = np.interp(every, steps, rate)
    rates[:warmup] = rate[0] * every[:warmup] / warmup  # left out of the file; linear
    size = path.stem.partition("_")[0]
    return Run(
        name=path.stem,
        fold=size,
        parameters=1e6 * float(size),
        plan=law.Plan(learning_rate=rates, batch=np.ones(len(every)), warmup=warmup),
        steps=steps,
        loss=loss,
        block=1,
        final=float(loss[-1]),
    )


def read_workdirs(folder: pathlib.Path) -> list[Run]:
    """All runs below a folder, in name order, every second one for tuning and the rest for test."""
    found = sorted(path.parent for path in folder.rglob("metrics.jsonl"))
    if not found:
        raise ValueError(f"{folder} holds no run: no metrics.jsonl in it or below.")
    return [
        _read_workdir(path, name=str(path.relative_to(folder)), fold=("tune", "test")[index % 2])
        for index, path in enumerate(found)
    ]


def _read_workdir(path: pathlib.Path, *, name: str, fold: str) -> Run:
    metrics = _lines(path / "metrics.jsonl")
    last = {line["step"]: line for line in metrics}  # after a rewind the later line counts
    steps = np.array(sorted(last))
    if len(steps) != steps[-1]:
        raise ValueError(f"{path}: {len(steps)} lines for {steps[-1]} steps; the run has gaps.")
    rate = np.array([last[step]["learning_rate"] for step in steps])
    plan = law.Plan(
        learning_rate=rate,
        batch=np.array([last[step]["batch"] for step in steps]),
        warmup=_warmup(path, rate),
    )
    described = {"name": name, "fold": fold, "parameters": _parameters(path), "plan": plan}
    held_out = {line["step"]: line for line in _evaluations(path) if line["kind"] == "heldout"}
    if len(held_out) >= MIN_EVALUATIONS:
        at = np.array(sorted(held_out))
        loss = np.array([_mean_nats(held_out[step]) for step in at])
        return Run(**described, steps=at, loss=loss, block=1, final=float(loss[-1]))
    good = [step for step in steps if not last[step].get("skipped")]
    loss = np.array([last[step]["loss"] for step in good])
    tail = np.array(good) > steps[-1] * (1 - FINAL_SHARE)
    final = float(np.median(loss[tail]))
    return Run(**described, steps=np.array(good), loss=loss, block=points.BLOCK, final=final)


def _warmup(path: pathlib.Path, rate: np.ndarray) -> int:
    """Its steps by the plan; the highest rate may come later, where the batch grew or a person steered."""
    file = path / "config.json"
    config = json.loads(file.read_text()) if file.exists() else {}
    if "schedule" in config:
        return config["schedule"]["warmup"] // config["train"]["batch"]
    return int(np.argmax(rate >= rate.max() * (1 - 1e-6)))


def _mean_nats(line: dict) -> float:
    return float(np.mean([domain["nats_per_token"] for domain in line["domains"].values()]))


def _evaluations(path: pathlib.Path) -> list[dict]:
    file = path / "evaluations.jsonl"
    return _lines(file) if file.exists() else []


def _parameters(path: pathlib.Path) -> float:
    for file in (path / "summary.json", path / "config.json"):
        if file.exists() and (count := json.loads(file.read_text()).get("parameters")):
            return float(count)
    events = path / "events.jsonl"  # of a run that is not finished
    for event in _lines(events) if events.exists() else []:
        if count := event.get("parameters"):
            return float(count)
    raise ValueError(f"{path}: no summary.json, config.json or events.jsonl tells 'parameters'.")


def _lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
