"""The door of the forecast: where the loss will end, from the points so far and the plan."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from aquila_jax.core import signals
from aquila_jax.tsm import band, fit, law, points
from aquila_jax.tsm.progress import SEED_SPREAD, noticeable

MAX_POINTS = 128  # of a fit
MIN_STEPS = 300  # after the warm-up: before, a run is in a transient that no law describes
MIN_POINTS = 12
EARLY = 0.25  # of what was seen is left out: a young run follows another law than an old one
LOOKS_BACK = (0.6, 0.7, 0.8, 0.9)  # of what was seen: where it is forecast again, as it was then
HORIZON = 0.1  # of the plan's tokens: over which a plateau is judged


class Estimate(NamedTuple):
    """The law fitted to a run in progress; what all questions about its future start from."""

    fit: fit.Fit
    plan: law.Plan
    coordinates: law.Coordinates
    memory: float  # steps; that of the original plan, so that what-ifs share it
    step: int  # the last one seen
    moved: float  # nats: how far forecasts of the end, made earlier, lie from this one (`_moved`)


def estimate(seen: points.Observed, plan: law.Plan, prior: fit.Prior) -> Estimate | None:
    """The fit to the later points, after 1.5 warm-ups; None while they are too few, or not falling."""
    if len(seen.steps) and seen.steps[-1] > plan.steps:
        raise ValueError(
            f"a loss of step {seen.steps[-1]:g} lies beyond the plan's {plan.steps} steps."
        )
    memory = law.memory(plan.steps)
    where = law.coordinates(plan, memory)
    lines = where.progress, where.annealing
    late = _late(seen, plan)
    now = _fitted(late, plan, *lines, prior=prior)
    if now is None:
        return None
    step = int(seen.steps[-1])
    earlier = {x: _fitted(_until(late, x * step), plan, *lines, prior=prior) for x in LOOKS_BACK}
    ends = {x: _end(found, where) for x, found in earlier.items() if found is not None}
    moved = _moved(ends, _end(now, where), done=step / plan.steps)
    return Estimate(now, plan, where, memory, step, moved)


def fitted(
    seen: points.Observed,
    plan: law.Plan,
    progress: np.ndarray,
    annealing: np.ndarray,
    *,
    prior: fit.Prior,
) -> fit.Fit | None:
    """The fit to the points of a plan whose steps have these coordinates, [T] each; None: too few."""
    return _fitted(_late(seen, plan), plan, progress, annealing, prior=prior)


def trajectory(estimate: Estimate, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected loss at those steps of the plan and its deviation before calibration: [n] each.

    A fit is too sure of itself where the law does not hold; then its forecasts move as a run goes
    on. How far they did widens the end, and steps before it as much as they are on the way there.
    """
    index = np.asarray(steps, int) - 1
    where, now = estimate.coordinates, estimate.step - 1
    mean, posterior = fit.predict(estimate.fit, where.progress[index], where.annealing[index])
    present, _ = fit.predict(
        estimate.fit, where.progress[now : now + 1], where.annealing[now : now + 1]
    )
    ahead = (where.progress - where.progress[now]).clip(min=0)
    way = ahead[index] / ahead[-1] if ahead[-1] else 1.0
    moved = estimate.moved * way
    return mean, band.deviation(posterior, present - mean, estimate.fit.noise, moved)


def forecast(
    seen: points.Observed,
    plan: law.Plan,
    *,
    prior: fit.Prior,
    calibrations: Mapping[str, band.Calibration],
    domains: Mapping[str, points.Observed],
    coverage: float = 0.9,
) -> signals.Forecast | None:
    """The final loss, overall and per domain; None before there is enough to go by.

    The band needs a calibration made with the same kind of prior: without one `calibrated_on`
    is 0 and `low` and `high` are None.
    """
    whole = estimate(seen, plan, prior)
    if whole is None:
        return None
    mean, deviation = trajectory(whole, np.array([plan.steps]))
    final, low, high, known = float(mean[0]), None, None, 0
    if calibration := calibrations.get(prior.source):
        if found := band.factor(calibration, coverage):
            factor, known = found
            low, high = final - factor * float(deviation[0]), final + factor * float(deviation[0])
    return signals.Forecast(
        step=whole.step,
        final_loss=final,
        low=low,
        high=high,
        coverage=coverage,
        calibrated_on=known,
        parameters=_describe(whole, float(deviation[0])),
        domains=_domains(domains, whole, prior),
    )


def plateau(estimate: Estimate) -> float:
    """P(the next tenth of the tokens gains less than is noticeable); 0 in the last tenth."""
    tokens = np.cumsum(estimate.plan.batch)
    now = estimate.step - 1
    later = int(np.searchsorted(tokens, tokens[now] + HORIZON * tokens[-1]))
    if later >= len(tokens):
        return 0.0
    where = estimate.coordinates
    change, deviation = fit.difference(
        estimate.fit,
        (where.progress[now], where.annealing[now]),
        (where.progress[later], where.annealing[later]),
    )
    present, _ = trajectory(estimate, np.array([estimate.step]))
    threshold = noticeable(float(present[0]))
    spread = float(np.hypot(deviation, band.DROP_ERROR * change)) + 1e-12
    return NormalDist(-change, spread).cdf(threshold)


def convergence(estimate: Estimate, gap: float | np.ndarray) -> tuple[float, float, float]:
    """Effective kilo-steps X = (A / gap)^(1 / alpha) until a stable run is `gap` nats above its floor.

    A gap may be given for each exponent [K]. Median and 5 to 95 % of the posterior. Not to be trusted beyond three times the X reached.
    """
    scale = np.maximum(estimate.fit.mean[:, 1], 0)  # below 0 the weight is 0
    reached = (scale / gap) ** (1 / estimate.fit.exponent)
    order = np.argsort(reached, kind="stable")
    share = np.cumsum(estimate.fit.weight[order])
    middle, low, high = reached[order][
        np.searchsorted(share, (0.5, 0.05, 0.95)).clip(max=len(order) - 1)
    ]
    return float(middle), float(low), float(high)


def _late(seen: points.Observed, plan: law.Plan) -> points.Observed:
    """The points that count, after 1.5 warm-ups and the first quarter of what was seen."""
    begin = max(1.5 * plan.warmup, EARLY * seen.steps.max(initial=0))
    used = np.isfinite(seen.loss) & (seen.loss > 0) & (seen.steps > begin)
    return points.Observed(seen.steps[used], seen.loss[used])


def _fitted(
    late: points.Observed,
    plan: law.Plan,
    progress: np.ndarray,
    annealing: np.ndarray,
    *,
    prior: fit.Prior,
) -> fit.Fit | None:
    if len(late.steps) < MIN_POINTS or late.steps[-1] - plan.warmup < MIN_STEPS:
        return None
    kept = points.thin(late, MAX_POINTS)
    index = kept.steps.astype(int) - 1
    return fit.fit(fit.Points(progress[index], annealing[index], kept.loss), prior)


def _until(seen: points.Observed, step: float) -> points.Observed:
    return points.Observed(*(values[seen.steps <= step] for values in seen))


def _end(found: fit.Fit, where: law.Coordinates) -> float:
    return float(fit.predict(found, where.progress[-1:], where.annealing[-1:])[0][0])


def _moved(ends: Mapping[float, float], end: float, *, done: float) -> float:
    """The farthest of earlier forecasts of the end, each by the root of the way that is left.

    `ends` by the share of what was seen now that was known then, `done` the share of the plan.
    What a forecast was off by then cannot all be ahead still: at the end nothing is.
    """
    return max(
        (abs(then - end) * math.sqrt((1 - done) / (1 - x * done)) for x, then in ends.items()),
        default=0.0,
    )


def _domains(
    domains: Mapping[str, points.Observed], whole: Estimate, prior: fit.Prior
) -> dict[str, float]:
    """Final loss per domain, for those with enough points; a domain may differ from the whole."""
    where, wide = whole.coordinates, fit.widened(prior)
    fits = {
        name: fitted(seen, whole.plan, where.progress, where.annealing, prior=wide)
        for name, seen in domains.items()
    }
    return {name: _end(found, where) for name, found in fits.items() if found is not None}


def _describe(estimate: Estimate, deviation: float) -> dict[str, float]:
    best = estimate.fit.best
    middle, low, high = convergence(estimate, 2 * SEED_SPREAD)
    return {
        **best._asdict(),
        "memory": estimate.memory,
        "noise": estimate.fit.noise,
        "deviation": deviation,
        "plateau": plateau(estimate),
        "convergence": middle,
        "convergence_low": low,
        "convergence_high": high,
        "progress": float(estimate.coordinates.progress[estimate.step - 1]),
    }
