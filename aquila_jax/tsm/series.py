"""The recent normal of one logarithm, learned by medians from values that fit it."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesSettings:
    """Floors and rates are of natural logarithms."""

    floor: float
    window: int = 128
    minimum: int = 32  # values before anything is judged
    trend_rate: float = 0.1
    relearn: int = 32  # outliers within twice as many steps that make a new normal


class Series(NamedTuple):
    """`values` are deviations from `trend`; `centre` and `scale` describe them."""

    values: np.ndarray
    trend: float
    centre: float
    scale: float
    outliers: np.ndarray
    outlier_steps: np.ndarray


def start() -> Series:
    """Nothing learned."""
    return Series(np.zeros(0), 0.0, 0.0, 1.0, np.zeros(0), np.zeros(0, np.int64))


def deviation(settings: SeriesSettings, series: Series, value: float) -> float:
    """How many robust deviations a logarithm stands above its past; 0 while that is unknown."""
    if len(series.values) < settings.minimum:
        return 0.0
    return (value - series.trend - series.centre) / series.scale


def limit(settings: SeriesSettings, series: Series, act: float) -> float:
    """The value, not its logarithm, that stands `act` deviations above; infinite if unknown."""
    if len(series.values) < settings.minimum:
        return math.inf
    return math.exp(series.trend + series.centre + act * series.scale)


def learn(settings: SeriesSettings, series: Series, value: float) -> Series:
    """One more value of the normal kind."""
    count = len(series.values)
    trend = series.trend if count else value
    values = np.append(series.values[-(settings.window - 1) :], value - trend)
    centre, scale = spread(values, settings.floor)
    trend += max(settings.trend_rate, 1.0 / (count + 1)) * (value - trend)
    return series._replace(values=values, trend=trend, centre=centre, scale=scale)


def set_aside(
    settings: SeriesSettings, series: Series, step: int, *, value: float
) -> tuple[Series, bool]:
    """An outlier teaches nothing, until so many agree that they are the new normal.

    True if that happened: the series starts anew from the outliers, and nothing can be refused
    for ever.
    """
    keep = series.outlier_steps > step - 2 * settings.relearn
    outliers = np.append(series.outliers[keep], value)
    steps = np.append(series.outlier_steps[keep], step)
    if len(outliers) < settings.relearn:
        return series._replace(outliers=outliers, outlier_steps=steps), False
    trend = float(np.median(outliers))
    values = outliers - trend
    return Series(values, trend, *spread(values, settings.floor), steps[:0] * 0.0, steps[:0]), True


def spread(values: np.ndarray, floor: float) -> tuple[float, float]:
    """Median, and the largest of `floor`, 1.4826 MAD, and the 97th percentile's normal width.

    The last one is for skewed and heavy-tailed noise, where the MAD alone flags healthy steps: a
    few batches in a hundred may be of a harder kind.
    """
    ordered = np.sort(values)
    centre = _median(ordered)
    mad = _median(np.sort(np.abs(values - centre)))
    upper = (float(ordered[(97 * len(ordered)) // 100]) - centre) / 1.8808
    return centre, max(1.4826 * mad, upper, floor)


def _median(ordered):
    count = len(ordered)
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2
