"""Learning-rate schedules over sequences, with their corner points as run-time values."""

import dataclasses
from typing import Literal

import jax.numpy as jnp

from aquila_jax.core import limits
from aquila_jax.core.signals import Control

MOST = 2**31 - 1  # sequences: the step counts them in 32 bits, and beyond them its rate would be 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Warm-up, then a shape; all lengths in sequences, so that a batch may grow on the way."""

    kind: Literal["cosine", "wsd", "linear", "constant"] = "wsd"
    peak: float
    warmup: int
    total: int
    decay_fraction: float = 0.15  # of total, for wsd (arXiv 2405.18392 recommends 0.1 to 0.2)
    floor: float = 0.0  # final rate as a fraction of the peak

    def __post_init__(self):
        if self.kind not in SHAPES:
            raise ValueError(f"schedule kind={self.kind!r} must be one of {sorted(SHAPES)}.")
        limits.positive(self, "schedule", "peak")
        share = {"rule": "from 0 to 1", "holds": lambda value: 0 <= value <= 1}
        limits.require(self, "schedule", "decay_fraction", "floor", **share)
        limits.at_least(1, self, "schedule", "total")
        if not 0 <= self.warmup <= self.decay_start <= self.total:
            raise ValueError(
                f"warmup={self.warmup}, start of the decay={self.decay_start:g} and "
                f"total={self.total} sequences must not decrease; shorten warmup."
            )
        if self.total > MOST:
            raise ValueError(
                f"total={self.total} sequences must be at most {MOST}, which is as far as the step "
                "counts; make the sequences longer (data.length)."
            )

    @property
    def decay_start(self) -> float:
        """Where the decay starts by plan, in sequences."""
        starts = {"wsd": self.total - round(self.decay_fraction * self.total)}
        return float(starts.get(self.kind, self.warmup))


def neutral(schedule: Schedule) -> Control:
    """The control that changes nothing."""
    return Control(decay_start=schedule.decay_start, decay_end=float(schedule.total))


def learning_rate(schedule: Schedule, sequences, control: Control, *, xp=jnp):
    """The rate of the step that starts after `sequences`; arrays of `xp` in, arrays out.

    Warm-up is never zero, and over once `warmup` sequences are read: its last step is at the peak
    only where a step is one sequence, the first one after it always.
    """
    warm = xp.clip((sequences + 1.0) / max(schedule.warmup, 1), 0.0, 1.0)
    span = xp.maximum(control.decay_end - control.decay_start, 1.0)
    progress = xp.clip((sequences - control.decay_start) / span, 0.0, 1.0)
    shape = schedule.floor + (1.0 - schedule.floor) * SHAPES[schedule.kind](progress, xp)
    return schedule.peak * control.lr_scale * warm * shape


def _one_minus_sqrt(progress, xp):
    """The cool-down of WSD (arXiv 2405.18392, equation 1)."""
    return 1.0 - xp.sqrt(progress)


SHAPES = {
    "cosine": lambda progress, xp: 0.5 * (1.0 + xp.cos(xp.pi * progress)),
    "wsd": _one_minus_sqrt,
    "linear": lambda progress, xp: 1.0 - progress,
    "constant": lambda progress, xp: 0.0 * progress + 1.0,
}
