"""The band of a forecast, as wide as past forecasts with known outcome say it must be.

A posterior alone is too sure of itself, since the law is not exact. Split conformal prediction
scales it by a quantile of past errors, each in units of the deviation then claimed.
"""

import dataclasses
import math

import numpy as np

MIN_PAIRS = 20  # with fewer, no band is claimed
DROP_ERROR = 0.05  # of the predicted drop: what the law is typically wrong by
FLOOR = 0.003  # nats: seeds, evaluation noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """Pairs of forecast and truth, made with one kind of prior (`fit.Prior.source`)."""

    source: str
    progress: tuple[float, ...]  # share of the run that was over when the forecast was made
    scores: tuple[float, ...]  # |error| / deviation claimed


def deviation(posterior: np.ndarray, drop: np.ndarray) -> np.ndarray:
    """What is claimed before calibration, from the posterior's deviation and the drop to come."""
    return np.sqrt(posterior**2 + (DROP_ERROR * drop) ** 2 + FLOOR**2)


def factor(
    calibration: Calibration, *, progress: float, coverage: float
) -> tuple[float, int] | None:
    """The multiple of `deviation` that covers that share of truths, and on how many pairs.

    Pairs of the same half of their run count, as errors late in a run are larger for what is
    claimed; of the whole run where these are too few. None below `MIN_PAIRS`.
    """
    scores = np.asarray(calibration.scores)
    alike = scores[(np.asarray(calibration.progress) >= 0.5) == (progress >= 0.5)]
    scores = np.sort(alike if len(alike) >= MIN_PAIRS else scores)
    rank = math.ceil((len(scores) + 1) * coverage)
    if len(scores) < MIN_PAIRS or rank > len(scores):
        return None
    return float(scores[rank - 1]), len(scores)


def from_json(data: dict[str, dict[str, list]]) -> dict[str, Calibration]:
    """Calibrations by source, from `calibration.json`: back-test -> source -> [[progress, score]].

    What several back-tests say of one source is joined.
    """
    joined: dict[str, list] = {}
    for sources in data.values():
        for source, pairs in sources.items():
            joined.setdefault(source, []).extend(pairs)
    return {source: _calibration(source, pairs) for source, pairs in joined.items()}


def to_pairs(calibration: Calibration) -> list[list[float]]:
    """The pairs of one calibration, as `from_json` reads them."""
    pairs = zip(calibration.progress, calibration.scores, strict=True)
    return [[round(progress, 4), round(score, 4)] for progress, score in pairs]


def _calibration(source: str, pairs: list) -> Calibration:
    array = np.asarray(pairs, float)
    if array.ndim != 2 or array.shape[1] != 2 or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(
            f"calibration {source!r} must be pairs [progress, score], finite and not negative."
        )
    progress, scores = array.T.tolist()
    return Calibration(source=source, progress=tuple(progress), scores=tuple(scores))
