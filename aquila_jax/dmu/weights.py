"""Online weights: from each domain's progress to the next mixture, as pure functions.

    ado     ADO (arXiv 2410.11820): prior x credit**0.5 x learning speed
    aquila  prior x learning speed x worth of a repeated token, each speed drawn to what all have
            in common as far as it is uncertain; no credit, which makes the rich richer: under a metric that
            counts domains alike, ADO with a natural prior was worse than no change (science 4.4)

Both are smoothed over their past and bounded by `bound`. Arrays `[M]`: one value a domain; shares
sum to 1.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aquila_jax.dmu.repetition import repeated_token_value

SMOOTHING = 0.1  # of the newest preference; the rest is the mean of all before (ADO)
CREDIT = 0.9  # memory of what each domain was given lately
ADO_LEAST = 0.01  # of ADO's preference; half an even share where domains are many
BALANCE = 0.8  # of a language's target share is its floor
HALVINGS = 100
LEAST_ERROR = 1e-6  # nats; no speed is known better


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """How far weights may go."""

    floor: float = 0.01  # of the mixture; half an even share where domains are many
    least: float = 1 / 3  # of the prior
    most: float = 3.0  # times the prior
    step: float = 1.25  # the factor that a weight may change by at once: the trust region
    epochs: float = 4.0  # that the whole run may read a domain


class Progress(NamedTuple):
    """What is known of the domains, each `[M]`."""

    prior: np.ndarray  # shares of the plan
    weights: np.ndarray  # shares in force
    speed: np.ndarray  # -dL / d ln n, nats; NaN: not known
    error: np.ndarray  # standard error of its logarithm
    sizes: np.ndarray  # sequences in an epoch
    seen: np.ndarray  # sequences read so far
    left: float  # sequences that the run still reads, of all domains


class Memory(NamedTuple):
    """What an algorithm carries from one update to the next."""

    average: np.ndarray  # mean preference so far
    credit: np.ndarray  # smoothed shares
    updates: int


def start(prior: np.ndarray) -> Memory:
    """Before the first update."""
    return Memory(prior, prior, 0)


def ado(progress: Progress, memory: Memory) -> np.ndarray:
    """ADO's preference."""
    used = progress.prior > 0  # of a domain that is not read, no speed is known
    raw = np.where(used, progress.prior * np.sqrt(memory.credit) * progress.speed, 0.0)
    least = _least(ADO_LEAST, progress.prior)
    return _shares(np.where(used, np.maximum(_shares(raw), least), 0.0))


def aquila(progress: Progress, memory: Memory) -> np.ndarray:
    """Speed, as sure as it is, and what repetition leaves of it."""
    used = progress.prior > 0
    speed = np.ones_like(progress.prior)
    speed[used] = shrink(progress.speed[used], progress.error[used] * progress.speed[used])
    epochs = progress.seen / np.maximum(progress.sizes, 1)
    return _shares(progress.prior * speed * repeated_token_value(epochs))


ALGORITHMS = {"ado": ado, "aquila": aquila}


def shrink(values: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Each value drawn to their common mean as far as its own error is of their spread, `[M]`.

    Empirical Bayes. In nats and not in logarithms: of a domain that no longer falls, the logarithm
    of the speed is not known at all, and all others would have to be disbelieved for it.
    """
    spread = spread_between(values, error)
    trust = spread / (spread + np.maximum(error, LEAST_ERROR) ** 2)
    return trust * values + (1 - trust) * np.average(values, weights=trust + 1e-12)


def spread_between(values: np.ndarray, error: np.ndarray) -> float:
    """Variance of the true values, of which `values` are seen with `error`.

    Paule and Mandel (1982): the one that leaves a mean square of 1 to the standardised residuals;
    0 where the errors alone explain what is seen.
    """
    error = np.maximum(error, LEAST_ERROR)
    least, most = 0.0, float(np.var(values)) * len(values)
    for _ in range(HALVINGS):
        spread = 0.5 * (least + most)
        precision = 1 / (spread + error**2)
        residual = values - np.average(values, weights=precision)
        if precision @ residual**2 > len(values) - 1:
            least = spread
        else:
            most = spread
    return most if least > 0 else 0.0


def update(
    name: str,
    progress: Progress,
    memory: Memory,
    *,
    groups: Sequence[tuple[np.ndarray, float]],
    bounds: Bounds = Bounds(),
) -> tuple[np.ndarray | None, Memory]:
    """The next shares by algorithm `name`, and its memory; None while a speed is not known.

    `groups`: (members, bool `[M]`; the share that they must have together), as of `balance`.
    """
    if not np.isfinite(progress.speed[progress.prior > 0]).all():
        return None, memory
    credit = CREDIT * memory.credit + (1 - CREDIT) * progress.weights
    preference = ALGORITHMS[name](progress, memory._replace(credit=credit))
    wanted = SMOOTHING * preference + (1 - SMOOTHING) * memory.average
    part = 1 / (memory.updates + 2)
    average = (1 - part) * memory.average + part * preference
    told = bound(progress, wanted, groups=groups, bounds=bounds)
    return told, Memory(average, credit, memory.updates + 1)


def bound(
    progress: Progress,
    wanted: np.ndarray,
    *,
    groups: Sequence[tuple[np.ndarray, float]],
    bounds: Bounds,
) -> np.ndarray:
    """The shares nearest to `wanted` within floors, ceilings, trust region and balance.

    A domain that somebody put far below its floor, such as one that cannot be learned, stays.
    """
    prior, now = progress.prior, progress.weights
    floor = _least(bounds.floor, prior)
    fresh = np.maximum(bounds.epochs * progress.sizes - progress.seen, 0.0)
    high = np.minimum(bounds.most * prior, fresh / max(progress.left, 1.0))
    low = np.minimum(np.where(prior > 0, np.maximum(floor, bounds.least * prior), 0.0), high)
    low, high = (np.clip(edge, now / bounds.step, now * bounds.step) for edge in (low, high))
    out = now < 0.5 * np.minimum(floor, prior)
    low, high = np.where(out, now, low), np.where(out, now, high)
    return project(np.maximum(wanted, 1e-12), low, high, groups)


def balance(languages: Sequence[str], prior: np.ndarray, target: dict[str, float]):
    """Groups for `update`: each language of `target` keeps 0.8 of its part of what all named have.

    Aquila2 found zh:en of 1:2 to 1:3 best (arXiv 2408.07410, section 7.6).
    """
    members = {name: np.array([tongue == name for tongue in languages]) for name in target}
    named = sum(float(prior[group].sum()) for group in members.values())
    parts = {name: part / sum(target.values()) for name, part in target.items()}
    return [(members[name], BALANCE * part * named) for name, part in parts.items()]


def project(
    wanted: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    groups: Sequence[tuple[np.ndarray, float]] = (),
) -> np.ndarray:
    """The p nearest to `wanted` (least KL(p || wanted)) with low <= p <= high, sum 1, group floors.

    p is `wanted` times one factor, cut at the bounds; a group that would fall below its floor gets
    a larger factor of its own. Bounds that leave no p are widened in proportion.
    """
    low, high = low / max(low.sum(), 1.0), high / min(high.sum(), 1.0)
    kept = np.zeros(len(wanted), bool)  # members of groups that stand at their floor
    shares = _fill(wanted, low, high, 1.0)
    reachable = [(members, min(floor, high[members].sum())) for members, floor in groups]
    while short := [
        (members, floor)
        for members, floor in reachable
        if not kept[members].any() and shares[members].sum() < floor - 1e-9
    ]:
        for members, floor in short:
            kept |= members
            shares[members] = _fill(wanted[members], low[members], high[members], floor)
        rest = ~kept
        shares[rest] = _fill(wanted[rest], low[rest], high[rest], 1 - shares[kept].sum())
    return shares


def _fill(wanted, low, high, total) -> np.ndarray:
    """`wanted` times the factor at which the sum, cut at `low` and `high`, is `total`."""
    if not len(wanted):
        return wanted
    least, most = float(np.min(low / wanted)), float(np.max(high / wanted))
    for _ in range(HALVINGS):
        factor = 0.5 * (least + most)
        if np.clip(factor * wanted, low, high).sum() < total:
            least = factor
        else:
            most = factor
    return np.clip(most * wanted, low, high)


def _least(share: float, prior: np.ndarray) -> float:
    """`share`, but never so much that many domains would all be held at it."""
    return min(share, 0.5 / max(np.count_nonzero(prior), 1))


def _shares(raw: np.ndarray) -> np.ndarray:
    return raw / raw.sum()
