"""The band of a forecast, as wide as past forecasts with known outcome say it must be.

A posterior alone is too sure of itself, since the law is not exact. Split conformal prediction
scales it by a quantile of past errors, each in units of the deviation then claimed.
"""

import dataclasses
import math

import numpy as np

MIN_FORECASTS = 20  # with fewer, no band is claimed
DROP_ERROR = 0.05  # of the predicted drop: what the law is typically wrong by
NOISE_SHARE = 0.5  # of a point's noise: what is left in an end that is a mean of a few points
FLOOR = 0.003  # nats: seeds, evaluation noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """Forecasts whose outcome is known, made with one kind of prior (`fit.Prior.source`)."""

    source: str
    scores: tuple[float, ...]  # |error| / deviation claimed


def deviation(posterior: np.ndarray, drop: np.ndarray, noise: float) -> np.ndarray:
    """What is claimed before calibration, of the posterior, the drop to come and a point's noise."""
    known_to = (NOISE_SHARE * noise) ** 2 + FLOOR**2
    return np.sqrt(posterior**2 + (DROP_ERROR * drop) ** 2 + known_to)


def factor(calibration: Calibration, coverage: float) -> tuple[float, int] | None:
    """The multiple of `deviation` that covers that share of truths, and on how many forecasts.

    None below `MIN_FORECASTS`, and where so many cannot vouch for that coverage.
    """
    scores = sorted(calibration.scores)
    rank = math.ceil((len(scores) + 1) * coverage)
    if len(scores) < MIN_FORECASTS or rank > len(scores):
        return None
    return scores[rank - 1], len(scores)


def from_json(data: dict[str, dict[str, list]]) -> dict[str, Calibration]:
    """Calibrations by source, from `calibration.json`: back-test -> source -> scores.

    What several back-tests say of one source is joined.
    """
    joined: dict[str, list] = {}
    for sources in data.values():
        for source, scores in sources.items():
            joined.setdefault(source, []).extend(_checked(source, scores))
    return {source: Calibration(source=source, scores=tuple(joined[source])) for source in joined}


def _checked(source: str, scores: list) -> list[float]:
    array = np.asarray(scores, float)
    if array.ndim != 1 or not array.size or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(
            f"calibration {source!r} must be a list of scores, finite and not negative."
        )
    return array.tolist()
