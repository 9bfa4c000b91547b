"""Situations for rules, healthy unless told otherwise."""

import dataclasses

from aquila_jax.ate.memory import PolicyState
from aquila_jax.ate.situation import MentorConfig, Situation
from aquila_jax.core.signals import Alarm, Assessment, Control

PLANNED = Control(decay_start=8500.0, decay_end=10000.0)


def alarm(kind: str, step: int = 300, **evidence) -> Alarm:
    return Alarm(kind, step, 0.95, evidence, "cause", "remedy")


def situation(*alarms: Alarm, step: int = 300, loss: float = 4.0, ratio: float = 0.01, **changes):
    """Step 300 of 1000 with batches of 10; `changes`: fields of the situation."""
    assessment = Assessment(
        step=step, loss=loss, slope=-0.3, domain_loss={}, language_loss={}, loss_limit=5.0,
        grad_norm_limit=2.0, skipped=False, update_ratio=ratio, alarms=alarms,
    )  # fmt: skip
    plain = dict(
        config=MentorConfig(mode="act"), assessment=assessment,
        memory=PolicyState(clock=step - 1, loss=loss), control=PLANNED,
        effective_step=step + 3, progress=step / 1000, warming=step < 50, window=20,
        tokens=step * 1280.0, sequences=step * 10, batch=10,
    )  # fmt: skip
    return Situation(**plain | changes)


def with_config(**fields) -> MentorConfig:
    return MentorConfig(mode="act", **fields)


def with_control(**fields) -> Control:
    return PLANNED._replace(**fields)


def later(before: Situation, state, steps: int = 1, **changes) -> Situation:
    """The same run some steps on, with what the policy remembers."""
    step = before.assessment.step + steps
    fresh = situation(step=step, config=before.config, control=before.control)
    return dataclasses.replace(fresh, memory=state, **changes)
