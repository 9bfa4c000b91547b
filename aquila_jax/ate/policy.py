"""Policies: from what the monitor says to what the engine does; replaceable, to be compared."""

import dataclasses
from typing import Literal

from aquila_jax.core.signals import Assessment, Control, Decision


@dataclasses.dataclass(frozen=True, kw_only=True)
class MentorConfig:
    """Who decides, and whether it is done or only written down."""

    mode: Literal["off", "shadow", "act"] = "shadow"
    policy: Literal["static", "peers", "aquila"] = "aquila"


@dataclasses.dataclass(frozen=True)
class PolicyState:
    """What a policy remembers between steps."""

    control: Control


def start(control: Control) -> PolicyState:
    """Before the first step."""
    return PolicyState(control)


def decide(
    config: MentorConfig, state: PolicyState, assessment: Assessment, *, effective_step: int
) -> tuple[PolicyState, Decision]:
    """The next control, and a request where the compiled step must be left."""
    control = POLICIES[config.policy](state, assessment)
    decision = Decision(assessment.step, effective_step, control)
    return dataclasses.replace(state, control=control), decision


def static(state: PolicyState, assessment: Assessment) -> Control:
    """What everyone does: the plan, come what may."""
    return state.control


def skip_outliers(state: PolicyState, assessment: Assessment) -> Control:
    """The monitor's limits go to the device, which skips a step beyond them."""
    return state.control._replace(
        loss_limit=assessment.loss_limit, grad_norm_limit=assessment.grad_norm_limit
    )


POLICIES = {"static": static, "peers": skip_outliers, "aquila": skip_outliers}
