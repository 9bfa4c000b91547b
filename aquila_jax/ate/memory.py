"""What the mentor remembers of its own actions; frozen, and the same on every process.

All times are counts of the steps seen (`clock`), which go on through a rewind, while step
numbers go back.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from aquila_jax.core.signals import Alarm

NEVER = -(10**9)


class Action(NamedTuple):
    """Something that was done, or in shadow mode would have been."""

    clock: int
    step: int
    rule: str
    family: str


class Trial(NamedTuple):
    """An action whose effect is to be seen when the clock reaches `due`."""

    due: int
    step: int
    rule: str
    family: str
    expected: float  # nats that the smoothed loss should not exceed then
    error: float  # one standard error of that comparison, nats
    changed: dict[str, tuple[float, float]]  # field of the control -> before, after


class Waiting(NamedTuple):
    """An alarm that no rule has acted on yet, since when."""

    clock: int
    alarm: Alarm


class PolicyState(NamedTuple):
    """Everything a policy carries from step to step."""

    clock: int = 0
    actions: tuple[Action, ...] = ()
    trial: Trial | None = None
    failures: int = 0  # remedies in a row that did not help
    troubled: int = 0  # clock of the last sign of trouble
    loss: float = float("nan")  # smoothed, of the step before
    jitter: float = 0.0  # mean size of the smoothed loss's moves, nats
    streaks: dict[str, int] = {}  # rule -> confirmations in a row
    looks: dict[str, tuple[tuple[float, float], ...]] = {}  # domain -> ln(tokens), nats
    penalties: dict[str, int] = {}  # family -> how often its cool-down was doubled
    disabled: tuple[str, ...] = ()  # rules that threw
    ceiling: float = 1.0  # of the learning-rate factor: the plan's, or a person's
    waiting: tuple[Waiting, ...] = ()  # a rule may be kept by another's trial, or pause


def last(memory: PolicyState, *rules: str) -> Action | None:
    """The latest action of any of these rules."""
    return next((action for action in reversed(memory.actions) if action.rule in rules), None)


def count(memory: PolicyState, rule: str) -> int:
    """How often a rule has acted."""
    return sum(action.rule == rule for action in memory.actions)


def since(memory: PolicyState, *rules: str) -> int:
    """Steps seen since one of these rules acted; very many if none ever did."""
    action = last(memory, *rules)
    return memory.clock - (NEVER if action is None else action.clock)


def to_json(memory: PolicyState) -> dict:
    """Plain values; the NaN of a run that has just begun is None."""
    plain = memory._asdict() | {"trial": memory.trial and memory.trial._asdict()}
    plain["waiting"] = [[clock, dataclasses.asdict(alarm)] for clock, alarm in memory.waiting]
    return plain | {"loss": None if memory.loss != memory.loss else memory.loss}


def from_json(value: Mapping[str, Any]) -> PolicyState:
    """What `to_json` was given, also after JSON has made lists of its tuples.

    What an older version did not have is as at the start.
    """
    value = to_json(PolicyState()) | dict(value)
    trial = value["trial"]
    if trial is not None:
        changed = {name: tuple(pair) for name, pair in trial["changed"].items()}
        trial = Trial(**trial | {"changed": changed})
    return PolicyState(
        **value
        | {
            "actions": tuple(Action(*action) for action in value["actions"]),
            "disabled": tuple(value["disabled"]),
            "looks": {name: tuple(map(tuple, seen)) for name, seen in value["looks"].items()},
            "loss": float("nan") if value["loss"] is None else value["loss"],
            "trial": trial,
            "waiting": tuple(Waiting(clock, Alarm(**alarm)) for clock, alarm in value["waiting"]),
        }
    )
