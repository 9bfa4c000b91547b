"""The training state monitor: signals of one step in, what they mean out; pure and replayable."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Assessment, Forecast, Signals
from aquila_jax.tsm import (
    alarms,
    detect,
    domains,
    drift,
    early_warning,
    history,
    layers,
    network,
    noise,
    supply,
    survey,
    tokens,
)
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.noise import NoiseSettings
from aquila_jax.tsm.rounding import rounded
from aquila_jax.tsm.supply import SupplySettings
from aquila_jax.tsm.survey import SurveySettings

Forecaster = Callable[[history.History, Context], Forecast | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """Names of the domains, in the order of `Signals`, and the settings of each part."""

    domains: tuple[str, ...]
    languages: tuple[str, ...]  # of each domain
    layers: int
    detector: detect.DetectorSettings = detect.DetectorSettings()
    domain: domains.DomainSettings = domains.DomainSettings()
    layer: layers.LayerSettings = layers.LayerSettings()
    warning: early_warning.WarningSettings = early_warning.WarningSettings()
    updates: drift.DriftSettings = drift.DriftSettings()
    noise: NoiseSettings = NoiseSettings()
    supply: SupplySettings = SupplySettings()
    survey: SurveySettings = SurveySettings()
    forecaster: Forecaster | None = None

    def __post_init__(self):
        if len(self.domains) != len(self.languages) or not self.domains:
            raise ValueError(
                f"languages={self.languages} must name one language for each of "
                f"domains={self.domains}."
            )


class MonitorState(NamedTuple):
    """All that is remembered between steps; saved with each checkpoint."""

    detector: detect.DetectorState
    domain: domains.DomainState
    layer: layers.LayerState
    warning: early_warning.WarningState
    updates: drift.DriftState
    noise: noise.NoiseState
    history: history.History
    supply: supply.SupplyState
    survey: survey.SurveyState
    tokens: tokens.TokenState
    weights_M: np.ndarray  # of the mixture seen last; empty: none yet
    raised: dict[str, int]  # alarm -> step at which it was told last


def start(settings: MonitorSettings) -> MonitorState:
    """A monitor that has seen nothing."""
    count = len(settings.domains)
    return MonitorState(
        detect.start(),
        domains.start(count),
        layers.start(settings.layers),
        early_warning.start(settings.layers),
        drift.start(),
        noise.start(),
        history.start(count),
        supply.start(count),
        survey.start(),
        tokens.start(count),
        np.zeros(0),
        {},
    )


def observe(
    settings: MonitorSettings, state: MonitorState, signals: Signals, *, context: Context
) -> tuple[MonitorState, Assessment]:
    """One finished step. The limits hold for the steps that follow, also some steps later."""
    signals, state = rounded(signals), _grow(settings, state)
    state, moved = _follow_mixture(settings, state, context)
    step, skipped = context.step, bool(signals.skipped)
    reading = detect.Reading(step, float(signals.loss), float(signals.grad_norm), skipped)
    detector, verdict = detect.observe(settings.detector, state.detector, reading)
    state, raised = _observe_domains(settings, state, signals, context=context, verdict=verdict)
    state, more = network.observe(settings, state, signals, context=context, usable=verdict.usable)
    odd = signals.token_oddity_MC
    seen, strange = tokens.observe(state.tokens, odd, step=step, names=settings.domains)
    state = state._replace(detector=detector, tokens=seen)
    raised = raised + more + strange
    state, wrong = _observe_supply(settings, state, signals, context)
    raised = raised + wrong

    found, forecast, trajectory = (), None, None
    if step % settings.survey.every == 0:
        surveyed, found = survey.look(
            settings.survey,
            state.survey,
            state.history,
            context=context,
            languages=settings.languages,
        )
        state = state._replace(survey=surveyed)
        forecast = settings.forecaster(state.history, context) if settings.forecaster else None
    if signals.weight_std_PN is not None:
        surveyed, trajectory = survey.follow_weights(
            state.survey, signals.weight_std_PN, context.tokens
        )
        state = state._replace(survey=surveyed)
    told, raised = alarms.fresh(state.raised, raised + found)
    state = state._replace(raised=told)
    assessment = _assess(settings, state, signals, context=context, verdict=verdict)
    slow = {"forecast": forecast, "trajectory": trajectory, "alarms": raised}
    slow["mixture_moved"] = moved
    return state, Assessment(**assessment, **slow)


def _follow_mixture(settings, state, context):
    """A change of weights moves the loss, by a known amount or not; the detector is told.

    Also ln of how far it moves: NaN where that is not known.
    """
    weights_M, moved = _in_order(settings, context.weights), 0.0
    if np.array_equal(weights_M, state.weights_M):
        return state, moved
    if len(state.weights_M):
        detector, moved = state.detector, _move(state, weights_M)
        known = math.isfinite(moved)
        detector = detect.shift(detector, moved) if known else detect.forget_loss(detector)
        state, moved = state._replace(detector=detector), moved if known else math.nan
    return state._replace(weights_M=weights_M, supply=supply.start(len(weights_M))), moved


def _in_order(settings, weights):
    return np.array([weights.get(name, 0.0) for name in settings.domains])


def _move(state, weights_M):
    """ln of how far the mixture `weights_M` moves the loss; NaN where that is not known."""
    before = domains.expected(state.domain, state.weights_M)
    return math.log(domains.expected(state.domain, weights_M) / before)


def _loss_limit(settings, state, context, limit):
    """For the next step to start, whose mixture the steps seen so far may not have had yet."""
    if context.coming in (None, context.weights):
        return limit
    moved = _move(state, _in_order(settings, context.coming))
    return limit * math.exp(moved) if math.isfinite(moved) else math.inf


def _grow(settings, state):
    """Room for domains that joined the run."""
    count = len(settings.domains)
    more = count - len(state.domain.count_M)
    if more <= 0:
        return state
    weights_M = np.pad(state.weights_M, (0, more)) if len(state.weights_M) else state.weights_M
    return state._replace(
        domain=domains.grow(state.domain, count),
        history=history.grow(state.history, count),
        tokens=tokens.grow(state.tokens, count),
        supply=supply.start(count),
        weights_M=weights_M,
    )


def _observe_domains(settings, state, signals, *, context, verdict):
    seen_2M = np.stack((signals.domain_nats_M, signals.domain_tokens_M))
    blamed = tuple(_with_blame(settings, state, seen_2M, alarm) for alarm in verdict.alarms)
    domain, raised = domains.observe(
        settings.domain,
        state.domain,
        seen_2M,
        step=context.step,
        usable=verdict.usable,
        names=settings.domains,
    )
    grown = history.add(
        state.history,
        step=context.step,
        tokens=float(context.tokens),
        learning_rate=float(signals.learning_rate),
        batch=float(context.batch),
        sums_M=seen_2M if verdict.usable else np.zeros_like(seen_2M),
    )
    return state._replace(domain=domain, history=grown), blamed + raised


def _observe_supply(settings, state, signals, context):
    supplied, raised = supply.observe(
        settings.supply,
        state.supply,
        signals.domain_tokens_M,
        weights_M=state.weights_M,
        context=context,
        names=settings.domains,
    )
    return state._replace(supply=supplied), raised


def _with_blame(settings, state, seen_2M, alarm):
    if alarm.kind != "spike":
        return alarm
    residual = domains.residuals(settings.domain, state.domain, seen_2M)
    evidence = alarm.evidence | {"blame": domains.blame(residual, settings.domains)}
    return alarms.make("spike", alarm.step, confidence=alarm.confidence, **evidence)


def _assess(settings, state, signals, *, context, verdict):
    loss_M, share_M = domains.smooth(state.domain).tolist(), state.domain.share_M.tolist()
    by_domain, totals = {}, {}
    rows = zip(settings.domains, settings.languages, loss_M, share_M, strict=True)
    for name, language, loss, share in rows:
        if math.isfinite(loss):
            by_domain[name] = loss
            nats, shares = totals.get(language, (0.0, 0.0))
            totals[language] = (nats + share * loss, shares + share)
    return dict(
        step=context.step,
        loss=detect.smooth_loss(state.detector, float(signals.loss)),
        slope=state.survey.slope,
        domain_loss=by_domain,
        language_loss={name: nats / shares for name, (nats, shares) in totals.items()},
        loss_limit=_loss_limit(settings, state, context, verdict.loss_limit),
        grad_norm_limit=verdict.grad_norm_limit,
        skipped=bool(signals.skipped),
        update_ratio=state.warning.ratio,
        noise_scale=noise.value(state.noise),
    )
