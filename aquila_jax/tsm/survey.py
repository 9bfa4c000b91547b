"""The slower questions, asked every so many steps: speed, plateau, imbalance, drift."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms, progress, trajectory
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.history import History


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurveySettings:
    """When to look, and what is worth telling."""

    every: int = 50  # steps
    plateau: progress.PlateauSettings = progress.PlateauSettings()
    imbalance_level: float = 0.01  # family-wise
    imbalance_size: float = 0.01  # log; smaller is not worth a person's time
    stalled_steps: int = 300
    stalled_fall: float = 0.03


class SurveyState(NamedTuple):
    """Learning speed as last measured, and what the next look compares with."""

    slope: float
    slope_error: float
    first_loss: float
    plateau_count: int
    plateau_tokens: float
    weight_std_PN: np.ndarray
    weight_tokens: float


def start() -> SurveyState:
    """Nothing looked at yet."""
    nan = math.nan
    return SurveyState(nan, nan, nan, 0, 0.0, np.zeros((0, 0)), 0.0)


def look(
    settings: SurveySettings,
    state: SurveyState,
    history: History,
    *,
    context: Context,
    languages: tuple[str, ...],
) -> tuple[SurveyState, tuple[Alarm, ...]]:
    """All slow questions at once, from the history alone."""
    if len(history.step_K) < progress.MINIMUM_BLOCKS:
        return state, ()
    line = progress.recent_line(history)
    slope, error = progress.overall(history, line)
    state = state._replace(slope=slope, slope_error=error)
    if math.isnan(state.first_loss):
        trusted = np.flatnonzero(history.counts_KM.sum(1))
        state = state._replace(first_loss=_mean(history, trusted[:2]))
    loss = _mean(history, history.tokens_K > 2 / 3 * history.tokens_K[-1])
    state, raised = _plateau(settings, state, context, loss)
    raised += _stalled(settings, state, context, loss)
    raised += _imbalance(settings, history, context, languages)
    return state, raised


def follow_weights(
    state: SurveyState, weight_std_PN: np.ndarray, tokens: float
) -> tuple[SurveyState, dict[str, float] | None]:
    """Trajectory distances since the weights were last seen; `None` the first time."""
    before, since = state.weight_std_PN, (tokens - state.weight_tokens) / 1e9
    state = state._replace(weight_std_PN=weight_std_PN, weight_tokens=float(tokens))
    if before.shape != weight_std_PN.shape or since <= 0:
        return state, None
    return state, trajectory.distances(before, weight_std_PN, since)


def _mean(history, which):
    """Nats per target over some blocks; NaN where none of their steps could be trusted."""
    counts = history.counts_KM[which].sum()
    return float(history.nats_KM[which].sum() / counts) if counts else math.nan


def _plateau(settings, state, context, loss):
    rule = settings.plateau
    if not math.isfinite(state.slope) or context.tokens < rule.spacing * state.plateau_tokens:
        return state, ()
    sure, gain, threshold = progress.plateau(loss=loss, slope=state.slope, error=state.slope_error)
    flat = gain > -threshold  # a loss that rises is no plateau
    count = state.plateau_count + 1 if flat and sure > rule.confidence else 0
    state = state._replace(plateau_count=count, plateau_tokens=float(context.tokens))
    if count < rule.confirmations:
        return state, ()
    evidence = {"gain": gain, "threshold": threshold, "slope": state.slope}
    return state, (alarms.make("plateau", context.step, confidence=sure, **evidence),)


def _stalled(settings, state, context, loss):
    fall = 1 - loss / state.first_loss
    learning = state.slope < -2 * state.slope_error
    flat = fall <= settings.stalled_fall  # not where one of the two is unknown
    if context.step < settings.stalled_steps or learning or not flat:
        return ()
    evidence = {"fall": fall, "steps": context.step, "loss": loss, "slope": state.slope}
    return (alarms.make("stalled", context.step, confidence=0.9, **evidence),)


def _imbalance(settings, history, context, languages):
    names = tuple(dict.fromkeys(languages))
    if len(names) < 2:
        return ()
    member_GM = np.array([[own == name for own in languages] for name in names], float)
    excess, error = progress.off_trend(history, member_GM)
    gap, p = progress.imbalance(excess, error)
    raised = ()
    for index in np.flatnonzero((p < settings.imbalance_level) & (gap > settings.imbalance_size)):
        own = float(excess[index])
        evidence = {"excess": own, "others": own - float(gap[index]), "p": float(p[index])}
        sure = 1 - float(p[index])
        raised += (
            alarms.make(
                "imbalance", context.step, confidence=sure, language=names[index], **evidence
            ),
        )
    return raised
