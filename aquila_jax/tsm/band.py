"""The band of a forecast, as wide as past forecasts with known outcome say it must be.

A posterior alone is too sure of itself, since the law is not exact. Split conformal prediction
scales it by a quantile of past errors, each in units of the deviation then claimed.
"""

import dataclasses

import numpy as np

MIN_FORECASTS = 20  # with fewer, no band is claimed
DROP_ERROR = 0.05  # of the predicted drop: what the law is typically wrong by
NOISE_SHARE = 0.5  # of a point's noise: what is left in an end that is a mean of a few points
FLOOR = 0.003  # nats: seeds, evaluation noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """Forecasts whose outcome is known, made with one kind of prior (`fit.Prior.source`)."""

    source: str
    kinds: tuple[tuple[float, ...], ...]  # |error| / deviation claimed, for each kind of run


def deviation(posterior: np.ndarray, drop: np.ndarray, noise: float) -> np.ndarray:
    """What is claimed before calibration, of the posterior, the drop to come and a point's noise."""
    known_to = (NOISE_SHARE * noise) ** 2 + FLOOR**2
    return np.sqrt(posterior**2 + (DROP_ERROR * drop) ** 2 + known_to)


def factor(calibration: Calibration, coverage: float) -> tuple[float, int] | None:
    """The multiple of `deviation` that covers that share of truths, and on how many forecasts.

    In the mean over the kinds of run, each of which counts alike: the next one may be of another.
    None below `MIN_FORECASTS`, and where so many cannot vouch for that coverage.
    """
    scores = np.sort(np.concatenate(calibration.kinds))
    ranks = [np.searchsorted(np.sort(kind), scores, "right") for kind in calibration.kinds]
    lengths = [len(kind) + 1 for kind in calibration.kinds]
    covered = np.mean([rank / length for rank, length in zip(ranks, lengths, strict=True)], axis=0)
    enough = np.flatnonzero(covered >= coverage - 1e-12)
    if len(scores) < MIN_FORECASTS or not len(enough):
        return None
    return float(scores[enough[0]]), len(scores)


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
