"""The forecast inside a run: the monitor's history and the plan as it now stands, to the end."""

import dataclasses
import math

import numpy as np

from aquila_jax.ate.schedules import Schedule, learning_rate
from aquila_jax.core.signals import Control, Forecast
from aquila_jax.model.config import ModelConfig, parameters
from aquila_jax.tsm import history as histories
from aquila_jax.tsm import law, points
from aquila_jax.tsm.band import Calibration
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.fit import default_prior
from aquila_jax.tsm.forecast import forecast
from aquila_jax.tsm.history import History


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foresight:
    """Called by the monitor; a function of what it is given and of nothing else."""

    model: ModelConfig
    schedule: Schedule
    batch: int
    domains: tuple[str, ...]
    control: Control
    calibrations: dict[str, Calibration]

    def __call__(self, history: History, context: Context) -> Forecast | None:
        """The final loss, overall and per domain; None while there is too little to go by."""
        nats_K, counts_K = history.nats_KM.sum(axis=1), history.counts_KM.sum(axis=1)
        losses_KM = histories.losses(history)
        return forecast(
            _observed(history, np.divide(nats_K, counts_K, where=counts_K > 0, out=_nan(nats_K))),
            plan(self.schedule, self.control, self.batch),
            prior=default_prior(parameters(self.model)),
            calibrations=self.calibrations,
            domains={
                name: _observed(history, losses_KM[:, m]) for m, name in enumerate(self.domains)
            },
        )


def plan(schedule: Schedule, control: Control, batch: int) -> law.Plan:
    """Learning rate and batch of every step under `control` as it stands."""
    steps = math.ceil(schedule.total / batch)
    starts = np.arange(steps) * float(batch)
    rates = learning_rate(schedule, starts, control._replace(lr_scale=1.0), xp=np)
    return law.Plan(
        learning_rate=rates, batch=np.full(steps, float(batch)), warmup=schedule.warmup // batch
    )


def _observed(history: History, losses_K: np.ndarray) -> points.Observed:
    known = np.isfinite(losses_K)
    middle = history.step_K - (history.block - 1) / 2
    return points.Observed(middle[known], losses_K[known])


def _nan(like: np.ndarray) -> np.ndarray:
    return np.full(like.shape, np.nan)
