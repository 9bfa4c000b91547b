"""How fast each domain is still learned: the slope of its own power law, with an honest error.

L(n) = e + b (n / now)**-a in the tokens n of the whole run (ADO, arXiv 2410.11820, which fits the
same law by gradient descent). Given a, it is linear; the exponents of a grid are weighed by how
well they fit, so that the answer is a closed form and the same on every machine.
"""

from typing import NamedTuple

import numpy as np

from aquila_jax.tsm.history import History, losses
from aquila_jax.tsm.progress import MINIMUM_BLOCKS

EXPONENTS = np.linspace(0.05, 0.8, 16)
# Of the tokens so far: before, the curve follows another law. Text of random characters is learned in
# a plunge, as far as it can be, and with a tenth here it seemed fast for four times as long.
EARLY = 0.5
LEAST = 1e-4  # nats: a domain that does not fall is learned this slowly, and no slower


class Learning(NamedTuple):
    """Per domain; NaN where there is too little to go by."""

    speed_M: np.ndarray  # -dL / d ln n now, nats
    error_M: np.ndarray  # standard error of its logarithm


class Level(NamedTuple):
    """Nats per token per domain, by its law; NaN where there is too little to go by."""

    loss_M: np.ndarray
    error_M: np.ndarray  # its standard error


def learning(history: History) -> Learning:
    """The speed of every domain at the end of `history`."""
    speed_M, error_M, _, _ = _laws(history, 1.0)
    return Learning(speed_M, error_M / speed_M)


def level(history: History, tokens: float) -> Level:
    """The loss of every domain when the run has learned from `tokens`, as `history` has it."""
    _, _, loss_M, error_M = _laws(history, tokens / history.tokens_K[-1])
    return Level(loss_M, error_M)


def until(history: History, tokens: float) -> History:
    """What was known when the run had learned from `tokens`."""
    known_K = history.tokens_K <= tokens
    columns = ("step", "tokens", "learning_rate", "batch")
    kept = {f"{name}_K": getattr(history, f"{name}_K")[known_K] for name in columns}
    tables = {f"{name}_KM": getattr(history, f"{name}_KM")[known_K] for name in ("nats", "counts")}
    return history._replace(**kept, **tables)


def _laws(history: History, ratio: float) -> np.ndarray:
    """Speed now and its error, loss at `ratio` times the tokens and its error: [4, M]."""
    end = history.tokens_K[-1] if len(history.tokens_K) else 1.0
    late_K = history.tokens_K > EARLY * end
    ratio_K = history.tokens_K[late_K] / end
    columns = zip(losses(history)[late_K].T, history.counts_KM[late_K].T, strict=True)
    found = [_law(ratio_K, loss_K, count_K, ratio) for loss_K, count_K in columns]
    return np.array(found).reshape(-1, 4).T


def _law(ratio_K, loss_K, count_K, ratio) -> tuple[float, float, float, float]:
    """Speed a * b and the loss at `ratio`, each with its error, over the grid of exponents a."""
    known = np.isfinite(loss_K) & (count_K > 0)
    if known.sum() < MINIMUM_BLOCKS:
        return (np.nan,) * 4
    weight_K = count_K[known] / count_K[known].mean()
    fits = [_line(ratio_K[known] ** -a, loss_K[known], weight_K, ratio**-a) for a in EXPONENTS]
    columns = map(np.array, zip(*fits, strict=True))
    b_E, variance_E, loss_E, loss_variance_E, left_E, residual_EK = columns
    best = int(left_E.argmin())
    count = _independent(residual_EK[best])
    odds_E = np.exp(-0.5 * count * np.log(left_E / left_E[best]))
    odds_E /= odds_E.sum()
    widen = known.sum() / count
    speed, error = _mixed(odds_E, EXPONENTS * b_E, EXPONENTS**2 * variance_E * widen)
    return max(speed, LEAST), error, *_mixed(odds_E, loss_E, loss_variance_E * widen)


def _mixed(odds_E, value_E, variance_E) -> tuple[float, float]:
    """Mean and standard deviation of a mixture."""
    mean = float(odds_E @ value_E)
    variance = float(odds_E @ (variance_E + value_E**2)) - mean**2
    return mean, float(np.sqrt(max(variance, 0.0)))


def _line(x_K, y_K, weight_K, x):
    """Weighted least squares: slope, value at `x`, each with its variance; mean square; residuals."""
    total = weight_K.sum()
    centre, mean = weight_K @ x_K / total, weight_K @ y_K / total
    spread = weight_K @ (x_K - centre) ** 2
    slope = weight_K @ ((x_K - centre) * (y_K - mean)) / spread
    residual_K = np.sqrt(weight_K) * (y_K - mean - slope * (x_K - centre))
    left = max(float(residual_K @ residual_K) / (len(x_K) - 2), 1e-12)
    variance = left / spread
    there = mean + slope * (x - centre), left / total + variance * (x - centre) ** 2
    return slope, variance, *there, left, residual_K


def _independent(residual_K: np.ndarray) -> float:
    """As many independent observations as residuals with this autocorrelation are worth."""
    if not residual_K.any():
        return float(len(residual_K))
    lag = float(residual_K[1:] @ residual_K[:-1] / (residual_K @ residual_K))
    lag = min(max(lag, 0.0), 0.9)
    return max(len(residual_K) * (1 - lag) / (1 + lag), 3.0)
