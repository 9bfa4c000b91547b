"""The band of a forecast, as wide as past forecasts with known outcome say it must be.

A posterior alone is too sure of itself, since the law is not exact. Split conformal prediction
scales it by a quantile of past errors, each in units of the deviation then claimed.
"""

import dataclasses
import math

import numpy as np

MIN_FORECASTS = 20  # with fewer, no band is claimed
DROP_ERROR = 0.05  # of the predicted drop: what the law is typically wrong by
FLOOR = 0.003  # nats: seeds, evaluation noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """Forecasts whose outcome is known, made with one kind of prior (`fit.Prior.source`)."""

    source: str
    kinds: tuple[tuple[float, ...], ...]  # |error| / deviation claimed, for each kind of run


def deviation(
    posterior: np.ndarray, drop: np.ndarray, noise: float, moved: np.ndarray | float
) -> np.ndarray:
    """What is claimed before calibration: nats [n], from parts that are independent.

    Of the posterior, the drop to come, a point's noise, which the end has as well, and how far the
    forecast has moved.
    """
    return np.sqrt(posterior**2 + (DROP_ERROR * drop) ** 2 + noise**2 + FLOOR**2 + moved**2)


def factor(calibration: Calibration, coverage: float) -> tuple[float, int] | None:
    """The multiple of `deviation` that covers that share of truths, and on how many forecasts.

    Of each kind of run, since the next one may be of any: the largest of the kinds' quantiles.
    None below `MIN_FORECASTS`, and where a kind has too few to vouch for that coverage.
    """
    known = sum(map(len, calibration.kinds))
    ranks = [math.ceil(coverage * (len(kind) + 1) - 1e-9) for kind in calibration.kinds]
    pairs = list(zip(calibration.kinds, ranks, strict=True))
    if known < MIN_FORECASTS or any(rank > len(kind) for kind, rank in pairs):
        return None
    return max(sorted(kind)[rank - 1] for kind, rank in pairs), known


def from_json(data: dict[str, dict[str, list]]) -> dict[str, Calibration]:
    """Calibrations by source, from `calibration.json`: back-test -> source -> scores.

    Each back-test is of one kind of run.
    """
    kinds: dict[str, list] = {}
    for sources in data.values():
        for source, scores in sources.items():
            kinds.setdefault(source, []).append(_checked(source, scores))
    return {source: Calibration(source=source, kinds=tuple(kinds[source])) for source in kinds}


def _checked(source: str, scores: list) -> tuple[float, ...]:
    array = np.asarray(scores, float)
    if array.ndim != 1 or not array.size or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(
            f"calibration {source!r} must be a list of scores, finite and not negative."
        )
    return tuple(array.tolist())
