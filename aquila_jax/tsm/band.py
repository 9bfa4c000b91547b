"""The band of a forecast, as wide as past forecasts with known outcome say it must be.

A posterior alone is too sure of itself, since the law is not exact. Split conformal prediction
scales it by a quantile of past errors, each in units of the deviation then claimed.
"""

import dataclasses
import math
from typing import Any

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


def join(calibrations: list[Calibration]) -> Calibration:
    """All pairs of several calibrations, which must be of one source."""
    sources = {calibration.source for calibration in calibrations}
    if len(sources) != 1:
        raise ValueError(f"calibrations of sources {sorted(sources)} do not join; give one source.")
    return Calibration(
        source=sources.pop(),
        progress=tuple(p for calibration in calibrations for p in calibration.progress),
        scores=tuple(s for calibration in calibrations for s in calibration.scores),
    )


def from_json(data: dict[str, Any]) -> dict[str, Calibration]:
    """Calibrations by source, from `calibration.json`: source -> list of [progress, score]."""
    calibrations = {}
    for source, pairs in data.items():
        array = np.asarray(pairs, float).reshape(-1, 2)
        if not (np.isfinite(array).all() and array.min(initial=0) >= 0):
            raise ValueError(
                f"calibration {source!r} must be pairs [progress, score], finite and not negative."
            )
        progress, scores = array.T.tolist()
        calibrations[source] = Calibration(
            source=source, progress=tuple(progress), scores=tuple(scores)
        )
    return calibrations


def to_json(calibrations: dict[str, Calibration]) -> dict[str, Any]:
    """The inverse of `from_json`."""
    return {
        source: [list(pair) for pair in zip(value.progress, value.scores, strict=True)]
        for source, value in calibrations.items()
    }
