"""Policies: from what the monitor says to what the engine does; replaceable, to be compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from aquila_jax.core.signals import Assessment, Control, Decision


@dataclasses.dataclass(frozen=True, kw_only=True)
class MentorConfig:
    """Who decides, and whether it is done or only written down."""

    mode: Literal["off", "shadow", "act"] = "shadow"
    policy: Literal["static", "peers", "aquila"] = "aquila"


class PolicyState(NamedTuple):
    """What a policy remembers between steps."""

    actions: tuple[tuple[int, str], ...] = ()  # (step, rule) of what was done


def start() -> PolicyState:
    """Before the first step."""
    return PolicyState()


def to_json(state: PolicyState) -> dict:
    """Strict JSON."""
    return state._asdict()


def from_json(value: Mapping[str, Any]) -> PolicyState:
    """What `to_json` was given."""
    return PolicyState(tuple((step, rule) for step, rule in value["actions"]))


def decide(  # noqa: PLR0917
    config: MentorConfig,
    state: PolicyState,
    assessment: Assessment,
    *,
    control: Control,
    effective_step: int,
) -> tuple[PolicyState, Decision]:
    """The next control, and a request where the compiled step must be left."""
    control = POLICIES[config.policy](control, assessment)
    return state, Decision(assessment.step, effective_step, control)


def static(control: Control, assessment: Assessment) -> Control:
    """What everyone does: the plan, come what may."""
    return control


def skip_outliers(control: Control, assessment: Assessment) -> Control:
    """The monitor's limits go to the device, which skips a step beyond them."""
    return control._replace(
        loss_limit=assessment.loss_limit, grad_norm_limit=assessment.grad_norm_limit
    )


POLICIES = {"static": static, "peers": skip_outliers, "aquila": skip_outliers}
