"""Which learning rate to begin with: rates to try, and the choice from what each trial showed.

A rate that is far off costs more than any other mistake, and costs most when it is found late
(science 2.1): a few short trials before the first step find it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

STEP = 3.0  # between two rates
FARTHEST = 4  # such steps from the plan
WARM, COOL = 0.2, 0.3  # of a trial; without a cool-down a trial ranks noise, not rates
LATE = 0.15  # of a trial: its loss is taken over this end
LEAST = 32  # steps of a trial
BACK = 0.7  # of the best rate, since the loss is flatter below it than above
MARGIN = (
    0.05  # nats by which another rate must be better than the plan's: trials are as noisy as that
)


def step_law(parameters: float, tokens: float) -> float:
    """The best peak of AdamW by the step law (arXiv 2503.04715), without embeddings; within 3x."""
    return 1.79 * parameters**-0.713 * tokens**0.307


def scales(peak: float, law: float) -> list[float]:
    """Multiples of the plan's peak to try: one step to both sides, and as far as the law points.

    The law errs to the high side, so a step below it is tried too.
    """
    away = math.log(law / peak, STEP)
    low, high = min(-1, round(away - 1)), max(1, round(away))
    tried = range(max(low, -FARTHEST), min(high, FARTHEST) + 1)
    return [float(f"{STEP**power:.6g}") for power in tried]


def shape(steps: int) -> list[float]:
    """The rate of each step of a trial, as a share of the one on trial: up, level, down to zero."""
    warm, cool = max(round(WARM * steps), 1), max(round(COOL * steps), 1)
    return [min((step + 1) / warm, 1.0, (steps - step) / (cool + 1)) for step in range(steps)]


def late(losses: Sequence[float]) -> float:
    """What a trial came to; infinite if it was lost."""
    end = losses[-max(round(LATE * len(losses)), 1) :]
    mean = sum(end) / len(end)
    return mean if math.isfinite(mean) else math.inf


def choose(shown: Mapping[str, Any]) -> float:
    """The scale to begin with, from the evidence: `scales`, and the `losses` of their trials.

    The plan's own unless another is surely better; then between the best and its neighbours by
    a parabola, and a little lower.
    """
    tried = [math.log(scale) for scale in shown["scales"]]
    losses = [math.inf if loss is None else loss for loss in shown["losses"]]
    best, plan = losses.index(min(losses)), shown["scales"].index(1.0)
    if not losses[best] < losses[plan] - MARGIN:
        return 1.0
    middle = tried[best]
    around = losses[best - 1 : best + 2] if best else []
    if len(around) == 3 and all(map(math.isfinite, around)):
        left, here, right = around
        bend = left - 2 * here + right
        middle += 0.5 * (left - right) / bend * math.log(STEP) if bend > 0 else 0.0
    return float(f"{BACK * math.exp(middle):.4g}")
