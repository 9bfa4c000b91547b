"""The forecast inside a run: what was done so far, and the plan as it now stands, to the end."""

import dataclasses
import math

import numpy as np

from aquila_jax.ate.schedules import Schedule, learning_rate
from aquila_jax.ate.situation import Decay
from aquila_jax.core.signals import Control, Forecast
from aquila_jax.model.config import ModelConfig, parameters
from aquila_jax.tsm import band, law, points
from aquila_jax.tsm.band import Calibration
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.fit import Prior, default_prior
from aquila_jax.tsm.forecast import Estimate, estimate, forecast
from aquila_jax.tsm.history import History
from aquila_jax.tsm.whatif import chance, compare, cooldowns, reach, saturation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foresight:
    """Called by the monitor; a function of what it is given and of nothing else."""

    model: ModelConfig
    length: int  # tokens of a sequence
    schedule: Schedule
    batches: tuple[tuple[int, int], ...]  # (first step, sequences a step)
    domains: tuple[str, ...]
    control: Control
    calibrations: dict[str, Calibration]

    def __call__(self, history: History, context: Context) -> Forecast | None:
        """The final loss, overall and per domain; None while there is too little to go by."""
        now = self._plan(history)
        return forecast(
            points.whole(history),
            now,
            prior=self._prior(now),
            calibrations=self.calibrations,
            domains={name: points.domain(history, m) for m, name in enumerate(self.domains)},
        )

    def decays(self, history: History) -> tuple[Decay, ...]:
        """What the forecast says of starting the decay elsewhere; nothing while there is none."""
        now = self._plan(history)
        found = estimate(points.whole(history), now, self._prior(now))
        if found is None:
            return ()
        plans, read = cooldowns(found), np.cumsum(now.batch)
        told = compare(found, plans)
        share = {name: float(name) for name in plans if name != "now"}
        starts = {name: now.steps - round(share[name] * now.steps) for name in share}
        starts["now"] = found.step
        return tuple(
            Decay(float(read[starts[name] - 1]), told[name].gain, told[name].probability)
            for name in plans
        )

    def outlook(self, history: History, target: float) -> dict:
        """For the journal, beside a forecast: the plan it is of, and what else follows from the fit.

        `target` nats, 0 for none. Steps are those of the plan; tokens are of whole sequences.
        """
        now = self._plan(history)
        told = {"plan": _described(self, now)}
        found = estimate(points.whole(history), now, self._prior(now))
        if found is None:
            return told
        outcomes = compare(found, cooldowns(found))
        told["schedules"] = {name: one.final_loss for name, one in outcomes.items()}
        told["saturation"] = saturation(found)._asdict()
        if target > 0:
            told["target"] = self._target(found, target)
        return told

    def _plan(self, history: History) -> law.Plan:
        return plan(self.schedule, self.control, self.batches, history)

    def _prior(self, now: law.Plan) -> Prior:
        return default_prior(parameters(self.model), law.hottest(now, self.length))

    def _target(self, found: Estimate, target: float) -> dict:
        """When it is reached; its odds and the edges only where there is a calibrated band."""
        calibration = self.calibrations.get("default")
        wide = band.factor(calibration, 0.9) if calibration else None
        reached = reach(found, target, wide[0] if wide else 0.0)._asdict()
        odds = chance(found, target, wide[0]) if wide else None
        if wide is None:
            reached |= {"earliest": None, "latest": None}
        step, read = reached["step"], np.cumsum(found.plan.batch)
        sequences = None if step is None else int(read[step - 1])
        return {"loss": target, "chance": odds, "sequences": sequences} | reached


def plan(
    schedule: Schedule,
    control: Control,
    batches: tuple[tuple[int, int], ...],
    history: History,
) -> law.Plan:
    """Learning rate and batch of every step: as the steps were taken, then as `control` has them.

    The warm-up ends with the step that reads its last sequence: what follows is at the peak, the
    unit of all rates; where the rate was raised later, that is what a decay anneals from. A batch
    that grew has brought its rate along in `control`, by the square-root rule.
    """
    sizes = _sizes(schedule.total, batches)
    starts = np.cumsum(sizes) - sizes
    planned = learning_rate(schedule, starts, control._replace(lr_scale=1.0), xp=np)
    warmup = min(math.ceil(schedule.warmup / batches[0][1]), len(sizes) - 1)
    scale = _scales(planned, control.lr_scale, history)
    planned[warmup] = planned[warmup] or schedule.peak  # where all is decayed to nought by then
    hot = scale[warmup:] * np.sqrt(sizes[warmup] / sizes[warmup:])
    # For this one step the highest temperature of the run, as it is the unit of all.
    scale[warmup] = hot.max() or 1.0
    return law.Plan(learning_rate=scale * planned, batch=sizes, warmup=warmup)


def _scales(planned: np.ndarray, now: float, history: History) -> np.ndarray:
    """Each step's factor of the planned rate, [T]: in its block of the history, and `now` after it."""
    last_K = history.step_K
    read = np.concatenate(([0.0], np.cumsum(planned)))
    planned_K = (read[last_K] - read[np.maximum(last_K - history.block, 0)]) / history.block
    taken_K = np.divide(
        history.learning_rate_K,
        planned_K,
        out=np.full(len(last_K), float(now)),
        where=planned_K > 0,
    )
    block = np.searchsorted(last_K, np.arange(1, len(planned) + 1))
    return np.append(taken_K, now)[block]


def _described(foresight: Foresight, now: law.Plan) -> dict:
    read, control = np.cumsum(now.batch), foresight.control
    return {
        "total_steps": now.steps,
        "total_sequences": int(read[-1]),
        "schedule": foresight.schedule.kind,
        "peak": foresight.schedule.peak * control.lr_scale,
        "decay_start": int(np.searchsorted(read, control.decay_start)) + 1,
        "decay_end": int(np.searchsorted(read, control.decay_end)) + 1,
        "batch": int(now.batch[-1]),
    }


def _sizes(total: int, batches: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Sequences of every step until `total` are read, float64."""
    until = [first - 1 for first, _ in batches[1:]]
    parts, done, read = [], 0, 0
    for (_, batch), last in zip(batches[:-1], until, strict=True):
        parts.append(np.full(last - done, float(batch)))
        read, done = read + batch * (last - done), last
    left = max(math.ceil((total - read) / batches[-1][1]), 0)
    return np.concatenate([*parts, np.full(left, float(batches[-1][1]))])
