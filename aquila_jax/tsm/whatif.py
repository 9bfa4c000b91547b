"""Questions to a fitted run: other schedules, the step that reaches a target, the odds of it."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from aquila_jax.tsm import fit, forecast, law
from aquila_jax.tsm.progress import noticeable

COOLDOWN_SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)  # of the run
# What a gain by another decay is off by: of decays of 20 % against 10 % the law promised 0.036 nats
# on ten pairs of runs, and 0.020 to 0.029 came (docs/results/monitor.md).
GAIN_ERROR = 0.5
MARGIN = 0.002  # nats that a change of plan must gain to be worth it
FAR = 1e12  # steps: as good as never
SAMPLES = 512  # steps at which a future curve is computed


class Outcome(NamedTuple):
    """What another plan would bring, against the present one, in nats."""

    final_loss: float
    gain: float  # positive: the other plan ends lower
    deviation: float  # of the gain, both plans under the same parameters
    probability: float  # that the gain is more than `MARGIN`


class Reach(NamedTuple):
    """When a target is reached within the plan; None: not within it."""

    step: int | None
    earliest: int | None
    latest: int | None


def compare(estimate: forecast.Estimate, plans: Mapping[str, law.Plan]) -> dict[str, Outcome]:
    """The end of each plan against the end of the present one."""
    return {name: _outcome(estimate, plan) for name, plan in plans.items()}


def cooldowns(estimate: forecast.Estimate) -> dict[str, law.Plan]:
    """Plans of the same length whose decay takes another share of the run, from now at the earliest."""
    plan, steps = estimate.plan, estimate.plan.steps
    starts = {f"{share:g}": steps - round(share * steps) for share in COOLDOWN_SHARES}
    starts["now"] = estimate.step
    held = _held(estimate)
    return {
        name: law.cooldown(held, start=start, end=steps)
        for name, start in starts.items()
        if max(plan.warmup + 1, estimate.step) <= start < steps
    }


def reach(estimate: forecast.Estimate, target: float, factor: float) -> Reach:
    """The first step at or below `target` nats: expected, and at both edges of a band.

    `factor` is that of `band.factor`.
    """
    count = min(SAMPLES, estimate.plan.steps - estimate.step + 1)
    steps = np.linspace(estimate.step, estimate.plan.steps, count).round().astype(int)
    mean, deviation = forecast.trajectory(estimate, steps)

    def first(curve: np.ndarray) -> int | None:
        below = np.flatnonzero(curve <= target)
        return int(steps[below[0]]) if len(below) else None

    return Reach(first(mean), first(mean - factor * deviation), first(mean + factor * deviation))


def chance(estimate: forecast.Estimate, target: float, factor: float) -> float:
    """P(the final loss is at most `target`), with the 90 % `factor` of `band.factor`."""
    mean, deviation = forecast.trajectory(estimate, np.array([estimate.plan.steps]))
    spread = float(deviation[0]) * factor / NormalDist().inv_cdf(0.95)
    return NormalDist(float(mean[0]), spread).cdf(target)


class Saturation(NamedTuple):
    """From when on more tokens bring nothing that matters, at the full rate; in steps of the plan."""

    step: int
    earliest: int  # 90 % of the posterior lies between these
    latest: int
    gain: float  # nats by a tenth more tokens, below which it does not matter
    trusted: bool  # beyond three times what was seen, a law is only a guess


def saturation(estimate: forecast.Estimate) -> Saturation:
    """Where the next tenth of the tokens gains less than two seeds differ, or 0.1 % of the loss.

    A X^-a (1 - 1.1^-a) = gain, solved for X, the effective kilo-steps, for every exponent a.
    """
    now, _ = forecast.trajectory(estimate, np.array([estimate.step]))
    gain = noticeable(float(now[0]))
    gap_K = gain / (1 - 1.1**-estimate.fit.exponent)
    middle, low, high = (round(min(1000 * x, FAR)) for x in forecast.convergence(estimate, gap_K))
    seen = 1000 * float(estimate.coordinates.progress[estimate.step - 1])
    return Saturation(middle, low, high, gain, middle <= 3 * seen)


def _held(estimate: forecast.Estimate) -> law.Plan:
    """The plan with the present rate held to the end."""
    rate = estimate.plan.learning_rate.copy()
    rate[estimate.step :] = rate[estimate.step - 1]
    return law.Plan(learning_rate=rate, batch=estimate.plan.batch, warmup=estimate.plan.warmup)


def _outcome(estimate: forecast.Estimate, plan: law.Plan) -> Outcome:
    where = law.coordinates(plan, estimate.memory)
    there = where.progress[-1], where.annealing[-1]
    here = estimate.coordinates.progress[-1], estimate.coordinates.annealing[-1]
    change, posterior = fit.difference(estimate.fit, here, there)
    final, _ = fit.predict(estimate.fit, where.progress[-1:], where.annealing[-1:])
    deviation = float(np.hypot(posterior, GAIN_ERROR * change))
    odds = NormalDist(-change, deviation + 1e-12)
    return Outcome(float(final[0]), -change, deviation, 1 - odds.cdf(MARGIN))
