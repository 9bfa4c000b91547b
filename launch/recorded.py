"""Finished runs to test forecasts on: published curves, or working directories of our own."""

import dataclasses
import json
import pathlib
from typing import Literal

import numpy as np

from aquila_jax.core.journal import read_lines
from aquila_jax.tsm import fit, history, law, points

MIN_EVALUATIONS = 60  # so that 12 lie in a fifth of the run; with fewer, the training loss is read
FINAL_SHARE = 0.02  # of a run: its training loss is averaged over, to know where it ended


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A whole run: the plan it followed, its losses, and where it ended."""

    name: str
    fold: str  # runs of one fold are never told about each other
    parameters: float
    default: fit.Prior  # what a run of its size and temperature begins with
    plan: law.Plan
    steps: np.ndarray  # [n]
    loss: np.ndarray  # [n], nats; NaN: a step that was skipped
    kind: Literal["evaluations", "training"]
    final: float

    def seen(self, step: float) -> points.Observed:
        """The points that a monitor would hold at that step."""
        known = self.steps <= step
        steps, losses = self.steps[known], self.loss[known]
        if self.kind == "evaluations":
            return points.Observed(steps.astype(float), losses)
        kept = history.start(1)
        for at, loss in zip(steps.tolist(), losses.tolist(), strict=True):
            sums = np.array([[loss], [1.0]]) if np.isfinite(loss) else np.zeros((2, 1))
            told = {"tokens": float(at), "learning_rate": 0.0, "batch": 0.0}
            kept = history.add(kept, step=at, sums_M=sums, **told)
        return points.whole(kept)


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
        default=fit.default_prior(1e6 * float(size)),
        plan=law.Plan(learning_rate=rates, batch=np.ones(len(every)), warmup=warmup),
        steps=steps,
        loss=loss,
        kind="evaluations",
        final=float(loss[-1]),
    )


def read_workdirs(folder: pathlib.Path) -> list[Run]:
    """All runs below a folder: even ones for tuning and odd ones for test.

    Counted in name order, or by the number that a name begins with, so that a run keeps its half
    while others are missing.
    """
    found = sorted(path.parent for path in folder.rglob("metrics.jsonl"))
    if not found:
        raise ValueError(f"{folder} holds no run: no metrics.jsonl in it or below.")
    names = [str(path.relative_to(folder)) for path in found]
    return [
        _read_workdir(path, name=name, fold=_half(name, index))
        for index, (path, name) in enumerate(zip(found, names, strict=True))
    ]


def _half(name: str, index: int) -> str:
    number = name.partition("-")[0]
    return ("tune", "test")[(int(number) if number.isdigit() else index) % 2]


def _read_workdir(path: pathlib.Path, *, name: str, fold: str) -> Run:
    metrics = read_lines(path / "metrics.jsonl")
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
    length = round(metrics[-1]["tokens"] / metrics[-1]["sequences"])
    parameters = _parameters(path)
    described = {
        "name": name, "fold": fold, "parameters": parameters, "plan": plan,
        "default": fit.default_prior(parameters, law.hottest(plan, length)),
    }  # fmt: skip
    evaluations = read_lines(path / "evaluations.jsonl")
    held_out = {line["step"]: line for line in evaluations if line["kind"] == "heldout"}
    if len(held_out) >= MIN_EVALUATIONS:
        at = np.array(sorted(held_out))
        loss = np.array([_mean_nats(held_out[step]) for step in at])
        return Run(**described, steps=at, loss=loss, kind="evaluations", final=float(loss[-1]))
    loss = np.array([np.nan if last[n].get("skipped") else last[n]["loss"] for n in steps])
    final = float(np.nanmean(loss[steps > steps[-1] * (1 - FINAL_SHARE)]))
    return Run(**described, steps=steps, loss=loss, kind="training", final=final)


def _warmup(path: pathlib.Path, rate: np.ndarray) -> int:
    """Its steps by the plan; the highest rate may come later, where the batch grew or a person steered."""
    file = path / "config.json"
    config = json.loads(file.read_text()) if file.exists() else {}
    if "schedule" in config:
        return config["schedule"]["warmup"] // config["train"]["batch"]
    return int(np.argmax(rate >= rate.max() * (1 - 1e-6)))


def _mean_nats(line: dict) -> float:
    return float(np.mean([domain["nats_per_token"] for domain in line["domains"].values()]))


def _parameters(path: pathlib.Path) -> float:
    for file in (path / "summary.json", path / "config.json"):
        if file.exists() and (count := json.loads(file.read_text()).get("parameters")):
            return float(count)
    for event in read_lines(path / "events.jsonl"):  # of a run that is not finished
        if count := event.get("parameters"):
            return float(count)
    raise ValueError(f"{path}: no summary.json, config.json or events.jsonl tells 'parameters'.")
