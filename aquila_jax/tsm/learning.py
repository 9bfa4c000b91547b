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


def learning(history: History) -> Learning:
    """The speed of every domain at the end of `history`."""
    end = history.tokens_K[-1] if len(history.tokens_K) else 1.0
    late_K = history.tokens_K > EARLY * end
    ratio_K = history.tokens_K[late_K] / end
    columns = zip(losses(history)[late_K].T, history.counts_KM[late_K].T, strict=True)
    found = [_slope(ratio_K, loss_K, count_K) for loss_K, count_K in columns]
    speed_M, error_M = np.array(found).reshape(-1, 2).T
    return Learning(speed_M, error_M)


def _slope(ratio_K, loss_K, count_K) -> tuple[float, float]:
    """a * b and the error of its logarithm, over the grid of exponents a."""
    known = np.isfinite(loss_K) & (count_K > 0)
    if known.sum() < MINIMUM_BLOCKS:
        return np.nan, np.nan
    weight_K = count_K[known] / count_K[known].mean()
    fits = [_line(ratio_K[known] ** -a, loss_K[known], weight_K) for a in EXPONENTS]
    b_E, variance_E, left_E, residual_EK = (np.array(column) for column in zip(*fits, strict=True))
    best = int(left_E.argmin())
    count = _independent(residual_EK[best])
    odds_E = np.exp(-0.5 * count * np.log(left_E / left_E[best]))
    odds_E /= odds_E.sum()
    speed_E = EXPONENTS * b_E
    spread_E = EXPONENTS**2 * variance_E * known.sum() / count
    mean = float(odds_E @ speed_E)
    variance = float(odds_E @ (spread_E + speed_E**2)) - mean**2
    speed = max(mean, LEAST)
    return speed, float(np.sqrt(max(variance, 0.0))) / speed


def _line(x_K, y_K, weight_K):
    """Weighted least squares: slope, its variance, mean square left, residuals."""
    total = weight_K.sum()
    centre, level = weight_K @ x_K / total, weight_K @ y_K / total
    spread = weight_K @ (x_K - centre) ** 2
    slope = weight_K @ ((x_K - centre) * (y_K - level)) / spread
    residual_K = np.sqrt(weight_K) * (y_K - level - slope * (x_K - centre))
    left = max(float(residual_K @ residual_K) / (len(x_K) - 2), 1e-12)
    return slope, left / spread, left, residual_K


def _independent(residual_K: np.ndarray) -> float:
    """As many independent observations as residuals with this autocorrelation are worth."""
    if not residual_K.any():
        return float(len(residual_K))
    lag = float(residual_K[1:] @ residual_K[:-1] / (residual_K @ residual_K))
    lag = min(max(lag, 0.0), 0.9)
    return max(len(residual_K) * (1 - lag) / (1 + lag), 3.0)
