"""The closed loop of HeuriMentor as one pure function: signals, assessment, decision."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from aquila_jax.ate import policy
from aquila_jax.ate.policy import PolicyState
from aquila_jax.config import Config
from aquila_jax.core.signals import Assessment, Control, Decision, Signals
from aquila_jax.train.foresight import Foresight
from aquila_jax.tsm import monitor
from aquila_jax.tsm.band import Calibration
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.monitor import MonitorSettings, MonitorState
from aquila_jax.tsm.survey import SurveySettings


class MentorState(NamedTuple):
    """What monitor and policy remember."""

    monitor: MonitorState
    policy: PolicyState


class Mentor(NamedTuple):
    """What the loop is configured with, once."""

    config: Config
    languages: Mapping[str, str]  # domain -> language, in the order of domain ids
    calibrations: Mapping[str, Calibration]

    def settings(self, control: Control) -> MonitorSettings:
        """The monitor's, with a forecast of the plan as `control` has it."""
        config = self.config
        batch, domains = config.train.batch, tuple(self.languages)
        steps = config.schedule.total // batch
        foresight = Foresight(
            model=config.model,
            schedule=config.schedule,
            batch=batch,
            domains=domains,
            control=control,
            calibrations=dict(self.calibrations),
        )
        return MonitorSettings(
            domains=domains,
            languages=tuple(self.languages.values()),
            layers=config.model.layers,
            survey=SurveySettings(every=max(50, steps // 50)),
            forecaster=foresight,
        )


def start(mentor: Mentor, control: Control) -> MentorState:
    """Before the first step."""
    return MentorState(monitor.start(mentor.settings(control)), policy.start())


def consider(
    mentor: Mentor, state: MentorState, signals: Signals, *, control: Control, context: Context
) -> tuple[MentorState, list[dict], Decision]:
    """One finished step: the next state, lines for the journal, and what to do.

    `control` is the one in force; the decision holds from `train.lag` + 1 steps later on.
    """
    settings = mentor.settings(control)
    watching, assessment = monitor.observe(settings, state.monitor, signals, context=context)
    deciding, decision = policy.decide(
        mentor.config.mentor,
        state.policy,
        assessment,
        control=control,
        effective_step=context.step + mentor.config.train.lag + 1,
    )
    lines = [*_told(assessment), *_decided(mentor.config.mentor.mode, decision, control)]
    return MentorState(watching, deciding), lines, decision


def to_json(state: MentorState) -> dict:
    """Strict JSON with exact floats."""
    return {"monitor": monitor.to_json(state.monitor), "policy": policy.to_json(state.policy)}


def from_json(value: Mapping[str, Any]) -> MentorState:
    """What `to_json` was given."""
    return MentorState(monitor.from_json(value["monitor"]), policy.from_json(value["policy"]))


def _told(assessment: Assessment) -> list[dict]:
    lines = [{"kind": "alarm", "alarm": dataclasses.asdict(alarm)} for alarm in assessment.alarms]
    if assessment.forecast is not None:
        lines.append({"kind": "forecast", "forecast": dataclasses.asdict(assessment.forecast)})
    if assessment.trajectory is not None:
        lines.append(
            {
                "kind": "assessment",
                "trajectory": assessment.trajectory,
                "noise_scale": assessment.noise_scale,
            }
        )
    return lines


def _decided(mode: str, decision: Decision, control: Control) -> list[dict]:
    """A line for a decision with a rule; the limits, which move every step, are in the metrics."""
    if not decision.rule:
        return []
    before, after = control._asdict(), decision.control._asdict()
    changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    line = {"kind": "decision", "mode": mode, "rule": decision.rule, "control": changed}
    line |= {"effective_step": decision.effective_step, "weights": decision.weights}
    line |= {"exclude": decision.exclude, "evidence": decision.evidence}
    line["request"] = decision.request and dataclasses.asdict(decision.request)
    return [line]
