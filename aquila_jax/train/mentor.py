"""The closed loop of HeuriMentor as one pure function: signals, assessment, decision."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aquila_jax.ate import memory, policy
from aquila_jax.ate.memory import PolicyState
from aquila_jax.ate.situation import Decay, Situation, Upcoming
from aquila_jax.config import Config
from aquila_jax.core.signals import Alarm, Assessment, Control, Decision, Signals
from aquila_jax.train.foresight import Foresight
from aquila_jax.train.mixing import MixState, Supply, propose
from aquila_jax.tsm import early_warning, monitor, peers, snapshot, successor
from aquila_jax.tsm.band import Calibration
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.detect import Reading
from aquila_jax.tsm.early_warning import WarningSettings
from aquila_jax.tsm.monitor import MonitorSettings, MonitorState
from aquila_jax.tsm.peers import PeerSettings, PeerState
from aquila_jax.tsm.successor import SuccessorState
from aquila_jax.tsm.survey import SurveySettings

LEAST_WINDOW = 10  # steps
RATIO_MEMORY = 10  # steps after which a tenth is left of a ratio smoothed by 0.2


class MentorState(NamedTuple):
    """What all that watch and decide remember, and the last better model."""

    monitor: MonitorState
    policy: PolicyState
    peers: PeerState
    successor: SuccessorState
    mixing: MixState


class Mentor(NamedTuple):
    """What the loop is configured with, once."""

    config: Config
    languages: Mapping[str, str]  # domain -> language, in the order of domain ids
    calibrations: Mapping[str, Calibration]

    @property
    def window(self) -> int:
        """Steps in which one actuator may act: 2 % of the run (science 4.1)."""
        return max(LEAST_WINDOW, self.config.schedule.total // self.config.train.batch // 50)

    def foresight(self, control: Control, batches: tuple[tuple[int, int], ...]) -> Foresight:
        """The forecast of the plan as `control` and the batches so far have it."""
        return Foresight(
            model=self.config.model,
            length=self.config.data.length,
            schedule=self.config.schedule,
            batches=batches,
            domains=tuple(self.languages),
            control=control,
            calibrations=dict(self.calibrations),
        )

    def usual(self, batch: int) -> WarningSettings:
        """The reference at a batch size: with it grows the rate, by its root, and with that the ratio."""
        grown = math.sqrt(batch / self.config.train.batch)
        return WarningSettings(
            reference=tuple(grown * x for x in self.config.mentor.reference_ratio)
        )

    def settings(self, foresight: Foresight, batch: int) -> MonitorSettings:
        """The monitor's, for a step of `batch` sequences."""
        return MonitorSettings(
            domains=tuple(self.languages),
            languages=tuple(self.languages.values()),
            layers=self.config.model.layers,
            warning=self.usual(batch),
            survey=SurveySettings(every=max(50, self.window)),
            forecaster=foresight,
        )


def start(mentor: Mentor, control: Control) -> MentorState:
    """Before the first step."""
    batch = mentor.config.train.batch
    settings = mentor.settings(mentor.foresight(control, ((1, batch),)), batch)
    return MentorState(
        monitor.start(settings), policy.start(), peers.start(), successor.start(), MixState()
    )


def consider(
    mentor: Mentor,
    state: MentorState,
    signals: Signals,
    *,
    control: Control,
    context: Context,
    batches: tuple[tuple[int, int], ...],
    upcoming: Upcoming | None = None,
    supply: Supply | None = None,
) -> tuple[MentorState, list[dict], Decision]:
    """One finished step: the next state, lines for the journal, and what to do.

    `control` is the one in force; the decision holds from `train.lag` + 1 steps later on.
    `upcoming`: the next phase of the recipe. `supply`: the data, when it is time for new weights.
    """
    foresight = mentor.foresight(control, batches)
    settings = mentor.settings(foresight, context.batch)
    watching, assessment = monitor.observe(settings, state.monitor, signals, context=context)
    skipping, assessment = _as_peers(mentor, state.peers, signals, assessment)
    mixing, mix = state.mixing, None
    if supply is not None:
        mixing, mix = propose(
            mentor.config.mentor,
            mixing,
            watching.history,
            supply=supply,
            languages=mentor.languages,
        )
    situation = _situation(mentor, state.policy, assessment, control=control, context=context)
    outlook = {}
    if assessment.forecast is not None:
        outlook = foresight.outlook(watching.history, mentor.config.mentor.target_loss)
    situation = dataclasses.replace(
        situation,
        odds=outlook.get("target", {}).get("chance"),
        reference=_reference(mentor, watching, batches, context),
        decays=_decays(mentor, foresight, watching, assessment),
        upcoming=upcoming,
        mix=mix,
    )
    deciding, decision, notes = policy.decide(situation)
    lines = [*_told(assessment, outlook), *notes]
    lines += decided(mentor.config.mentor.mode, decision, control)
    return MentorState(watching, deciding, skipping, state.successor, mixing), lines, decision


def judge(state: MentorState, evaluation: Sequence[Mapping]) -> tuple[MentorState, list[dict]]:
    """One evaluation against that of the model before: the next state, lines for the journal."""
    after, raised = successor.observe(state.successor, evaluation)
    return state._replace(successor=after), _raised(raised)


def to_json(state: MentorState) -> dict:
    """Strict JSON with exact floats."""
    return {
        "monitor": snapshot.to_json(state.monitor),
        "policy": memory.to_json(state.policy),
        "peers": snapshot.to_json(state.peers),
        "successor": snapshot.to_json(state.successor),
        "mixing": snapshot.to_json(state.mixing),
    }


def from_json(value: Mapping[str, Any]) -> MentorState:
    """What `to_json` was given."""
    return MentorState(
        snapshot.from_json(MonitorState, value["monitor"]),
        memory.from_json(value["policy"]),
        snapshot.from_json(PeerState, value["peers"]),
        snapshot.from_json(SuccessorState, value["successor"]),
        snapshot.from_json(MixState, value["mixing"]),
    )


def _as_peers(mentor, state, signals, assessment):
    """With the peers' policy, the limits are those of their rule."""
    if mentor.config.mentor.policy != "peers":
        return state, assessment
    skipped = bool(signals.skipped)
    reading = Reading(assessment.step, float(signals.loss), float(signals.grad_norm), skipped)
    state, verdict = peers.observe(PeerSettings(), state, reading)
    limits = {"loss_limit": verdict.loss_limit, "grad_norm_limit": verdict.grad_norm_limit}
    return state, dataclasses.replace(assessment, **limits)


def _situation(mentor, remembered, assessment, *, control, context) -> Situation:
    config = mentor.config
    total = config.schedule.total
    sequences = round(context.progress * total)
    return Situation(
        config=config.mentor,
        assessment=assessment,
        memory=remembered,
        control=control,
        effective_step=context.step + config.train.lag + 1,
        progress=context.progress,
        warming=sequences < config.schedule.warmup,
        window=mentor.window,
        tokens=context.tokens,
        sequences=sequences,
        batch=context.batch,
        weights=context.coming or context.weights,
        languages=mentor.languages,
        chance=math.log(config.model.vocab),
    )


def _reference(mentor, watching, batches, context) -> tuple[float, float] | None:
    """Least and most usual update ratio over what the smoothed one still remembers.

    As long as that is all there was, what is usual has been smoothed alike, and is exact.
    """
    if context.step <= RATIO_MEMORY:
        usual = watching.warning.usual
        return (usual, usual) if usual else None
    passed = context.batch / mentor.config.schedule.total  # by a step
    usual = []
    for back in range(RATIO_MEMORY + 1):
        batch = [size for first, size in batches if first <= max(context.step - back, 1)][-1]
        progress = context.progress - back * passed
        usual.append(early_warning.expected_ratio(mentor.usual(batch), progress))
    return None if usual[0] is None else (min(usual), max(usual))


def _decays(mentor, foresight, watching, assessment) -> tuple[Decay, ...]:
    may = "decay" in mentor.config.mentor.may and mentor.config.schedule.kind == "wsd"
    return foresight.decays(watching.history) if may and assessment.forecast else ()


def _told(assessment: Assessment, outlook: dict) -> list[dict]:
    lines = _raised(assessment.alarms)
    if assessment.forecast is not None:
        forecast = dataclasses.asdict(assessment.forecast)
        lines.append({"kind": "forecast", "forecast": forecast} | outlook)
    if assessment.trajectory is not None:
        told = {"trajectory": assessment.trajectory, "noise_scale": assessment.noise_scale}
        lines.append({"kind": "assessment"} | told)
    return lines


def _raised(alarms: tuple[Alarm, ...]) -> list[dict]:
    return [{"kind": "alarm", "alarm": dataclasses.asdict(alarm)} for alarm in alarms]


def decided(mode: str, decision: Decision, control: Control) -> list[dict]:
    """A line for a decision with a rule; the limits, which move every step, are in the metrics."""
    if not decision.rule:
        return []
    before, after = control._asdict(), decision.control._asdict()
    moved = [name for name in after if before[name] != after[name] and "limit" not in name]
    changed = {name: [before[name], after[name]] for name in moved}
    line = {"kind": "decision", "mode": mode, "rule": decision.rule, "control": changed}
    line |= {"effective_step": decision.effective_step, "weights": decision.weights}
    line |= {"exclude": decision.exclude, "evidence": decision.evidence}
    line |= {"predict": decision.predict}
    line["request"] = decision.request and dataclasses.asdict(decision.request)
    return [line]
