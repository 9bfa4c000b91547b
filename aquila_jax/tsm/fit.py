"""The law fitted to the part of a run that is known, with priors from smaller runs.

Given the exponent alpha the law is linear in its other three numbers, so the posterior is a
mixture over a grid of exponents of Gaussians in closed form: no starting points, no random
draws, the same bits for the same points. Why priors at all: before the decay begins, the data
say nothing about what the decay is worth.
"""

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

from aquila_jax.tsm import law

DEFAULT_EXPONENT_WIDTH, DEFAULT_DROP_WIDTH = 0.4, 0.25
SIZE_EXPONENT = 0.12  # the drop grows as parameters^0.12 (25M to 100M, published curves)
# Parameters, exponent, drop: of our runs of 2000 steps of 512 tokens, the largest of them 1.3M
# (docs/results/monitor.md), and of published ones of tens of thousands of large steps. Fewer tokens
# a step leave more noise for a decay to take away.
SHORT, LONG = (1.3e6, 0.12, 0.42), (2.5e7, 0.52, 0.115)
SHORT_TEMPERATURE = 4e-3 / 512**0.5  # of those runs of ours: rate / sqrt(tokens a step)
MOST_TEMPERATURE = 4.0  # times that or a part of it: farther off nobody looked
EXPONENTS = np.geomspace(0.1, 1.6, 25)
MIN_NOISE = 1e-3  # nats; also the relative error from which an error counts linearly
VAGUE = 100.0  # nats: floor and scale are free, but a flat curve must not be singular
ROUNDS = 8  # reweightings of each of the two passes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior:
    """What is believed of alpha and C before the run; the other two numbers are free."""

    exponent: float
    drop: float  # nats
    exponent_width: float = 0.15  # standard deviation of log(exponent)
    drop_width: float = 0.15  # relative
    source: Literal["default", "proxy"] = "proxy"


class Fit(NamedTuple):
    """The posterior: K exponents, for each a Gaussian of (floor, scale, drop)."""

    exponent: np.ndarray  # [K]
    weight: np.ndarray  # [K], sums to 1
    mean: np.ndarray  # [K, 3]
    covariance: np.ndarray  # [K, 3, 3]
    noise: float  # nats, of one point
    inflation: float  # of its variance, as neighbouring errors are alike

    @property
    def best(self) -> law.Parameters:
        """The most probable parameters."""
        k = int(np.argmax(self.weight))
        floor, scale, drop = map(float, self.mean[k])
        return law.Parameters(floor, scale, float(self.exponent[k]), drop)


def default_prior(parameters: float, temperature: float = SHORT_TEMPERATURE) -> Prior:
    """For a model of that many parameters without a proxy run: wide, and not calibrated.

    Between the two kinds of run that were looked at in straight lines of logarithms, and wider.
    `temperature`: the highest of the plan (`law.hottest`), by which small models' runs differ: the
    noise that a decay takes away grows with it as the law has it. The published runs had one.
    """
    (least, *short), (most, *long) = SHORT, LONG
    hotter = np.clip(temperature / SHORT_TEMPERATURE, 1 / MOST_TEMPERATURE, MOST_TEMPERATURE)
    short[1] *= float(hotter) ** law.POWER
    share = float(np.clip(np.log(parameters / least) / np.log(most / least), 0, 1))
    exponent, drop = np.exp((1 - share) * np.log(short) + share * np.log(long)).tolist()
    unseen = 1 + 4 * share * (1 - share)
    return Prior(
        exponent=exponent,
        drop=drop * max(parameters / most, 1) ** SIZE_EXPONENT,
        exponent_width=unseen * DEFAULT_EXPONENT_WIDTH,
        drop_width=unseen * DEFAULT_DROP_WIDTH,
        source="default",
    )


def proxy_prior(parameters: float, proxies: list[tuple[float, law.Parameters]]) -> Prior:
    """From annealed runs (their parameter counts, their fits): medians, the drop scaled by size."""
    if not proxies:
        raise ValueError("proxy_prior needs one finished run with a decay; use default_prior.")
    drops = [fit.drop * (parameters / size) ** SIZE_EXPONENT for size, fit in proxies]
    exponents = [fit.exponent for _, fit in proxies]
    return Prior(exponent=float(np.median(exponents)), drop=float(np.median(drops)))


def widened(prior: Prior) -> Prior:
    """The prior as far as it holds for one domain of the mixture: at least as wide as the default."""
    return dataclasses.replace(
        prior,
        exponent_width=max(prior.exponent_width, DEFAULT_EXPONENT_WIDTH),
        drop_width=max(prior.drop_width, DEFAULT_DROP_WIDTH),
    )


class _Pass(NamedTuple):
    weight: np.ndarray  # [K]
    mean: np.ndarray  # [K, 3]
    covariance: np.ndarray  # [K, 3, 3]
    residual: np.ndarray  # [K, n], nats


class Points(NamedTuple):
    """The known part of a curve in the law's coordinates: [n] each."""

    progress: np.ndarray
    annealing: np.ndarray
    loss: np.ndarray  # nats


def fit(points: Points, prior: Prior) -> Fit | None:
    """The posterior given the points; None where no falling curve passes through them.

    The first pass finds how alike neighbouring errors are (AR(1)), the second weighs the points
    accordingly and looks closer at the exponents that matter.
    """
    noise = max(float(np.median(np.abs(np.diff(points.loss)))) / 0.6745 / 2**0.5, MIN_NOISE)
    first = _pass(EXPONENTS, points, prior=prior, variance=noise**2)
    if first is None:
        return None
    inflation = _inflation(first.residual[np.argmax(first.weight)])
    grid = _closer(first.weight)
    last = _pass(grid, points, prior=prior, variance=noise**2 * inflation)
    if last is None:
        return None
    return Fit(grid, last.weight, last.mean, last.covariance, noise, inflation)


def predict(fit: Fit, progress: np.ndarray, annealing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the law's loss at the coordinates [n]."""
    return _moments(fit, _features(fit.exponent, np.asarray(progress), np.asarray(annealing)))


def difference(
    fit: Fit, first: tuple[float, float], second: tuple[float, float]
) -> tuple[float, float]:
    """Mean and deviation of loss(second) - loss(first), both under the same parameters.

    Each is a pair (progress, annealing); what is common to both cancels, the floor first.
    """
    pair = np.array([first, second], float)
    features_KFn = _features(fit.exponent, pair[:, 0], pair[:, 1])
    mean, deviation = _moments(fit, features_KFn[..., 1:] - features_KFn[..., :1])
    return float(mean[0]), float(deviation[0])


def _features(exponent: np.ndarray, progress: np.ndarray, annealing: np.ndarray) -> np.ndarray:
    """[K, 3, n]: what floor, scale and drop are multiplied with."""
    power = progress ** -exponent[:, None]
    return np.stack([np.ones_like(power), power, np.broadcast_to(-annealing, power.shape)], 1)


def _moments(fit: Fit, features_KFn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = (fit.mean[:, None] @ features_KFn)[:, 0]
    variance = ((fit.covariance @ features_KFn) * features_KFn).sum(axis=1)
    middle = fit.weight @ mean
    return middle, np.sqrt(fit.weight @ (variance + (mean - middle) ** 2))


def _pass(exponent: np.ndarray, points: Points, *, prior: Prior, variance: float) -> _Pass | None:
    """Linear least squares for every exponent, reweighted to Huber's loss of relative errors."""
    features_KFn = _features(exponent, points.progress, points.annealing)
    features_KnF = features_KFn.transpose(0, 2, 1)
    precision = 1 / np.array([VAGUE, VAGUE, prior.drop_width * prior.drop]) ** 2
    believed = precision * (0, 0, prior.drop)
    threshold = max(MIN_NOISE, 1.345 * variance**0.5 / float(np.median(points.loss)))
    weight_Kn = np.ones((len(exponent), len(points.loss)))
    for _ in range(ROUNDS):
        weighted_KFn = features_KFn * (weight_Kn / variance)[:, None]
        hessian = weighted_KFn @ features_KnF + np.diag(precision)
        target = weighted_KFn @ points.loss + believed
        mean = np.linalg.solve(hessian, target[..., None])[..., 0]
        residual = points.loss - (mean[:, None] @ features_KFn)[:, 0]
        relative = np.abs(residual) / points.loss
        weight_Kn = threshold / np.maximum(relative, threshold)

    huber = np.minimum(relative, threshold) * (2 * relative - np.minimum(relative, threshold))
    misfit = np.sum(huber * points.loss**2, axis=1) / variance
    misfit += precision[2] * (mean[:, 2] - prior.drop) ** 2
    misfit += (np.log(exponent / prior.exponent) / prior.exponent_width) ** 2
    logarithm = -0.5 * (misfit + np.linalg.slogdet(hessian)[1])
    logarithm = np.where((mean < 0).any(axis=1), -np.inf, logarithm)
    if not np.isfinite(logarithm.max()):
        return None
    share = np.exp(logarithm - logarithm.max())
    return _Pass(share / share.sum(), mean, np.linalg.inv(hessian), residual)


def _inflation(residual: np.ndarray) -> float:
    """(1 + rho) / (1 - rho): how much less n alike errors say than n independent ones."""
    square = float(residual @ residual)
    rho = float(residual[1:] @ residual[:-1]) / square if square else 0.0
    rho = min(max(rho, 0.0), 0.95)
    return (1 + rho) / (1 - rho)


def _closer(weight: np.ndarray) -> np.ndarray:
    """A grid of exponents four deviations around those with weight, one coarse step at least."""
    logarithm = np.log(EXPONENTS)
    middle = weight @ logarithm
    deviation = np.sqrt(weight @ (logarithm - middle) ** 2)
    reach = max(4 * deviation, logarithm[1] - logarithm[0])
    return np.exp(np.linspace(middle - reach, middle + reach, len(EXPONENTS)))
