"""The annealing law of the loss, in coordinates that hold both learning rate and batch size.

Under Adam, far below the critical batch size, a step moves like SGD with rate eta * sqrt(B),
and its temperature is theta = eta / sqrt(B). With these two the law of Tissue et al. (arXiv
2408.11029, L = L_inf + A * S1^-alpha - C * S2) covers batch ramps too, and the square-root rule
leaves the temperature as it was. Two things differ from theirs, both measured
(docs/results/monitor.md):

- What annealing is worth arrives by another clock than theirs, which counts steps: ours counts how
  far they move, as the noise of SGD forgets (Mandt et al., arXiv 1704.04289, section 3: an
  Ornstein-Uhlenbeck process whose drift and variance both grow with the rate), so that a decay
  acts at once and fades as it ends.
- Progress per token and noise grow with theta^(3/4), not with theta itself: a lower rate learns
  more, and is noisier, than in proportion. Only then is a decay worth the same by any schedule.
"""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

POWER = 0.75  # of the temperature, with which progress per token and noise grow


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Learning rate and batch of every step from 1 to the last, those already taken included.

    Only ratios count, so both may be in any unit. `warmup` is the number of its steps.
    """

    learning_rate: np.ndarray  # [T]
    batch: np.ndarray  # [T]
    warmup: int

    def __post_init__(self):
        rate, batch = np.asarray(self.learning_rate, float), np.asarray(self.batch, float)
        if rate.ndim != 1 or rate.shape != batch.shape:
            raise ValueError(f"learning_rate {rate.shape} and batch {batch.shape} must be [steps].")
        if not 0 <= self.warmup < len(rate):
            raise ValueError(
                f"warmup={self.warmup} must be less than the plan's {len(rate)} steps."
            )
        if not (np.isfinite(rate).all() and rate.min() >= 0 and batch.min() > 0):
            raise ValueError(
                "a plan needs finite learning rates >= 0 and batches > 0 at every step."
            )
        if rate[self.warmup] == 0:
            raise ValueError(
                f"learning_rate is 0 at step {self.warmup + 1}, the first after the warm-up; "
                "it is the unit of all others."
            )
        object.__setattr__(self, "learning_rate", rate)
        object.__setattr__(self, "batch", batch)

    @property
    def steps(self) -> int:
        """How many steps the whole run has."""
        return len(self.learning_rate)


class Coordinates(NamedTuple):
    """Where each step of a plan lies on the law: [T] each."""

    progress: np.ndarray  # X: effective kilo-steps, of the full rate and the first batch
    temperature: np.ndarray  # theta: 1 after the warm-up
    annealing: np.ndarray  # Z: 0 while stable, 1 once annealed to zero


class Parameters(NamedTuple):
    """The law's four numbers; the losses in nats."""

    floor: float  # L_inf
    scale: float  # A: reducible loss after one effective kilo-step
    exponent: float  # alpha
    drop: float  # C: what annealing from 1 to 0 is worth


def memory(steps: int) -> float:
    """Full-rate steps in which the noise of a run of that length forgets by 1 / e: 0.75 sqrt(steps).

    The longer a run, the slower the directions that matter at its end; with this, a full anneal
    is worth the same in runs of 2000 steps with 10 to 100 % decay (docs/results/monitor.md).
    """
    return 0.75 * steps**0.5


def coordinates(plan: Plan, memory_steps: float, *, power: float = POWER) -> Coordinates:
    """X = 1e-3 sum(B theta^power), theta = eta / sqrt(B) and Z = 1 - r, with v = eta sqrt(B).

    r_i = r_{i-1} + min(v_i / memory, 1) (theta_i^power - r_{i-1}), 1 until the warm-up ends: the
    noise that is left, on its way to what the temperature would keep up. With a power of 1, X is
    the published S1.
    """
    rate = plan.learning_rate / plan.learning_rate[plan.warmup]
    root = np.sqrt(plan.batch / plan.batch[plan.warmup])
    temperature, motion = rate / root, rate * root
    noise_kept = temperature**power
    forgotten = np.minimum(motion / memory_steps, 1)
    forgotten[: plan.warmup + 1] = 0
    towards = zip(forgotten.tolist(), noise_kept.tolist(), strict=True)
    noise = list(itertools.accumulate(towards, _relax, initial=1.0))[1:]
    return Coordinates(
        progress=1e-3 * np.cumsum(root**2 * noise_kept),
        temperature=temperature,
        annealing=1 - np.array(noise),
    )


def hottest(plan: Plan, length: int) -> float:
    """The plan's highest temperature, in its rate's unit over the root of tokens a step."""
    unit = plan.warmup
    return float(plan.learning_rate[unit] / (plan.batch[unit] * length) ** 0.5)


def curve(parameters: Parameters, progress: np.ndarray, annealing: np.ndarray) -> np.ndarray:
    """The loss at those coordinates: L_inf + A X^-alpha - C Z."""
    floor, scale, exponent, drop = parameters
    return floor + scale * progress**-exponent - drop * annealing


def cooldown(plan: Plan, *, start: int, end: int) -> Plan:
    """The plan cut at step `end`, its rate falling as 1 - sqrt from `start` on (arXiv 2405.18392)."""
    if not plan.warmup < start < end <= plan.steps:
        raise ValueError(
            f"a cooldown from {start} to {end} must lie after the warm-up ({plan.warmup}) "
            f"and within the plan's {plan.steps} steps."
        )
    share = np.arange(1, end - start + 1) / (end - start)
    falling = plan.learning_rate[start - 1] * (1 - np.sqrt(share))
    rate = np.concatenate([plan.learning_rate[:start], falling])
    return dataclasses.replace(plan, learning_rate=rate, batch=plan.batch[:end])


def _relax(noise: float, towards: tuple[float, float]) -> float:
    share, kept = towards
    return noise + share * (kept - noise)
