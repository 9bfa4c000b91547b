"""Learning speed, plateau and imbalance, as tests with honest standard errors (science 1.4)."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.tsm.history import History, losses

MINIMUM_BLOCKS = 12
SEED_SPREAD = 0.001  # nats: what two seeds of a large run differ by; small runs differ by more


class Line(NamedTuple):
    """A weighted straight line in ln(tokens), one per column; NaN where data are too few."""

    slope_M: np.ndarray
    error_M: np.ndarray  # of the slope, Newey-West
    level_M: np.ndarray  # at `centre_M`
    level_error_M: np.ndarray
    centre_M: np.ndarray  # ln(tokens)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlateauSettings:
    """How sure a plateau must be, and how often it must show."""

    confidence: float = 0.9
    confirmations: int = 3
    spacing: float = 1.05  # growth of the tokens between two looks


def newey_west_line(x_K: np.ndarray, y_KM: np.ndarray, weights_KM: np.ndarray) -> Line:
    """Weighted least squares of y on x per column, errors robust to correlated residuals.

    Newey and West (1987), Bartlett weights, lag min(10, K // 4), widened as Kiefer and Vogelsang
    (2005, 5 % level) find necessary for so few blocks. Rows of weight 0 are absent.
    """
    weights_KM = np.where(np.isfinite(y_KM), weights_KM, 0.0)
    y_KM = np.where(weights_KM > 0, y_KM, 0.0)
    total_M = np.maximum(weights_KM.sum(0), 1e-300)
    weights_KM = weights_KM / total_M
    centre_M = x_K @ weights_KM
    x_KM = x_K[:, None] - centre_M
    spread_M = np.maximum((weights_KM * x_KM**2).sum(0), 1e-300)
    level_M = (weights_KM * y_KM).sum(0)
    slope_M = (weights_KM * x_KM * y_KM).sum(0) / spread_M
    residual_KM = weights_KM * (y_KM - level_M - slope_M * x_KM)
    enough_M = (weights_KM > 0).sum(0) >= MINIMUM_BLOCKS
    count_M = np.maximum((weights_KM > 0).sum(0), 3)
    widen_M = np.sqrt(count_M / (count_M - 2)) * (1 + 1.515 * _lag(len(x_K)) / count_M)
    error_M = np.sqrt(_long_run(residual_KM * x_KM)) / spread_M * widen_M
    level_error_M = np.sqrt(_long_run(residual_KM)) * widen_M
    columns = (slope_M, error_M, level_M, level_error_M, centre_M)
    return Line(*(np.where(enough_M, column, np.nan) for column in columns))


def recent_line(history: History, *, first: float = 2 / 3, last: float = 1.0) -> Line:
    """The losses over the blocks between these shares of the tokens; default the last third."""
    end = history.tokens_K[-1] if len(history.tokens_K) else 0.0
    inside_K = (history.tokens_K > first * end) & (history.tokens_K <= last * end)
    x_K = np.log(history.tokens_K[inside_K])
    return newey_west_line(x_K, losses(history)[inside_K], history.counts_KM[inside_K])


def overall(history: History, line: Line) -> tuple[float, float]:
    """Slope and its error at the current mixture, so that a change of weights is no progress."""
    known_M = np.isfinite(line.slope_M)
    if not known_M.any():
        return math.nan, math.nan
    late = history.tokens_K > 2 / 3 * history.tokens_K[-1]
    share_M = np.where(known_M, history.counts_KM[late].sum(0), 0.0)
    share_M = share_M / share_M.sum()
    slope = float(share_M @ np.where(known_M, line.slope_M, 0.0))
    return slope, float(np.sqrt((share_M**2) @ np.where(known_M, line.error_M, 0.0) ** 2))


def noticeable(loss: float) -> float:
    """The least gain that matters, nats: twice what two seeds differ by, or 0.1 % of the loss."""
    return max(2 * SEED_SPREAD, 1e-3 * loss)


def plateau(*, loss: float, slope: float, error: float) -> tuple[float, float, float]:
    """(P(gain of 10 % more tokens is below what matters), that gain, what matters), in nats."""
    threshold = noticeable(loss)
    gain, deviation = -slope * math.log(1.1), max(error * math.log(1.1), 1e-12)
    return _normal_below((threshold - gain) / deviation), gain, threshold


def off_trend(
    history: History, member_GM: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Relative excess `[G]` of the last third over each column's own trend, and its error.

    `member_GM`: the columns of each group, by default each its own; a column counts by its share
    of the group's recent nats, so that a change of weights within a group is no excess.

    The trend is ln(loss) over ln(tokens) in the middle third, carried forward. Curves flatten,
    so everyone drifts above it; compare columns with one another, as `imbalance` does. A tenth
    of the predicted change counts as error of the law itself (it is 6 % on n**-0.3 plus a floor).
    """
    end = history.tokens_K[-1] if len(history.tokens_K) else 0.0
    middle_K = (history.tokens_K > end / 3) & (history.tokens_K <= 2 * end / 3)
    late_K = history.tokens_K > 2 * end / 3
    x_K, y_KM = np.log(np.maximum(history.tokens_K, 1.0)), np.log(losses(history))
    before = newey_west_line(x_K[middle_K], y_KM[middle_K], history.counts_KM[middle_K])
    after = newey_west_line(x_K[late_K], y_KM[late_K], history.counts_KM[late_K])
    change_M = before.slope_M * (after.centre_M - before.centre_M)
    excess_M = after.level_M - before.level_M - change_M
    carried_M = before.error_M * (after.centre_M - before.centre_M)
    variance_M = after.level_error_M**2 + before.level_error_M**2 + carried_M**2
    known_M = np.isfinite(excess_M) & np.isfinite(variance_M)
    excess_M, variance_M, change_M = (
        np.where(known_M, values_M, 0.0) for values_M in (excess_M, variance_M, change_M)
    )
    member_GM = np.eye(len(known_M)) if member_GM is None else member_GM
    share_GM = member_GM * np.where(known_M, history.nats_KM[late_K].sum(0), 0.0)
    total_G = share_GM.sum(1, keepdims=True)
    share_GM = np.divide(share_GM, total_G, out=np.full_like(share_GM, np.nan), where=total_G > 0)
    law_G = 0.1 * share_GM @ change_M  # wrong for all columns alike
    return share_GM @ excess_M, np.sqrt(share_GM**2 @ variance_M + law_G**2)


def imbalance(excess_M: np.ndarray, error_M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each column's excess minus the mean of the others, and Holm-adjusted one-sided p `[M]`."""
    known = np.flatnonzero(np.isfinite(excess_M) & np.isfinite(error_M))
    gap_M, p_M = np.full(len(excess_M), np.nan), np.ones(len(excess_M))
    if len(known) < 2:
        return gap_M, p_M
    for column in known:
        others = known[known != column]
        gap_M[column] = excess_M[column] - excess_M[others].mean()
        pooled = math.sqrt(error_M[column] ** 2 + (error_M[others] ** 2).sum() / len(others) ** 2)
        p_M[column] = _normal_below(-gap_M[column] / max(pooled, 1e-12))
    p_M[known] = holm(p_M[known])
    return gap_M, p_M


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted for asking several questions at once (Holm, 1979)."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _long_run(scores_KM):
    """Newey-West sum of autocovariances of scores that are already centred."""
    count = len(scores_KM)
    lag = _lag(count)
    total_M = (scores_KM**2).sum(0)
    for shift in range(1, lag + 1):
        product_M = (scores_KM[shift:] * scores_KM[:-shift]).sum(0)
        total_M = total_M + 2 * (1 - shift / (lag + 1)) * product_M
    return np.maximum(total_M, 0.0)


def _lag(count):
    return min(10, count // 4)


def _normal_below(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))
