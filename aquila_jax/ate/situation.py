"""What a rule may look at, and what it may propose: plain frozen values."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from aquila_jax.ate.memory import PolicyState
from aquila_jax.core import limits
from aquila_jax.core.signals import Alarm, Assessment, Control, Request

Family = Literal["safety", "rate", "plan", "batch", "mixture"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MentorConfig:
    """Who decides, whether it is done or only written down, and how far it may go."""

    mode: Literal["off", "shadow", "act"] = "shadow"
    policy: Literal["static", "peers", "aquila"] = "aquila"
    # Move the decay; stop a hopeless run; take a domain that cannot be learned out of the mixture.
    may: tuple[Literal["decay", "stop", "gate"], ...] = ()
    reference_ratio: tuple[float, ...] = ()  # update ratios of a good proxy run over its progress
    most_lr_scale: float = 1.0  # above 1 a rate found too low by the reference may be raised
    grow_batch_at: tuple[float, ...] = ()  # shares of the run at which the batch doubles
    online_weights: Literal["off", "aquila", "ado"] = "off"  # the mixture follows the learning
    language_balance: dict[str, float] = dataclasses.field(default_factory=dict)  # zh 1, en 2
    probe: float = 0.0  # of the run, for each learning rate tried before the first step; 0: none
    target_loss: float = 0.0  # nats; the forecast says when it is reached; 0: none
    rewinds: int = 3
    snapshot_every: int = 50  # steps; where a rewind can go back to
    snapshots: int = 4  # held in host memory

    def __post_init__(self):
        if self.online_weights not in ("off", "aquila", "ado"):
            raise ValueError(
                f"mentor.online_weights={self.online_weights!r} must be 'off', 'aquila' or 'ado'."
            )
        if self.online_weights != "off" and (self.mode == "off" or self.policy != "aquila"):
            raise ValueError(
                f"mentor.online_weights={self.online_weights!r} needs mode 'shadow' or 'act' and "
                f"policy 'aquila', not {self.mode!r} and {self.policy!r}."
            )
        if self.language_balance and not min(self.language_balance.values()) > 0:
            raise ValueError(f"mentor.language_balance={self.language_balance} must be positive.")
        if unknown := sorted(set(self.may) - {"decay", "stop", "gate"}):
            raise ValueError(f"mentor.may={unknown} must be of 'decay', 'stop' and 'gate'.")
        limits.at_least(1, self, "mentor", "snapshot_every", "snapshots")
        limits.at_least(0, self, "mentor", "target_loss", "rewinds")
        if self.most_lr_scale < 1:
            raise ValueError(
                f"mentor.most_lr_scale={self.most_lr_scale} must be at least 1; "
                "lower schedule.peak to train with a lower rate."
            )
        if not 0 <= self.probe <= 0.1:
            raise ValueError(
                f"mentor.probe={self.probe} must be a share of the run from 0 to 0.1; "
                "each of three to seven rates takes that much."
            )
        shares = self.grow_batch_at
        if list(shares) != sorted(set(shares)) or not all(0.1 <= x < 1 for x in shares):
            raise ValueError(
                f"mentor.grow_batch_at={shares} must be rising shares of the run from 0.1 on."
            )


class Decay(NamedTuple):
    """What starting the decay at another place would bring, by the forecast."""

    start: float  # sequences
    gain: float  # nats at the end of the run
    probability: float  # that the gain is worth it


class Upcoming(NamedTuple):
    """The next phase of the recipe, and since when the present one lasts."""

    number: int
    name: str
    on: tuple[str, ...]  # events that begin it
    since: int  # sequences


class Mix(NamedTuple):
    """The mixture that online weights want next, and what they saw."""

    weights: dict[str, float]  # domain -> share
    evidence: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Situation:
    """One finished step, as all rules see it."""

    config: MentorConfig
    assessment: Assessment
    memory: PolicyState
    control: Control  # in force for the steps to come
    effective_step: int  # from which on a decision holds
    progress: float  # of the plan, 0 to 1
    warming: bool  # still in the warm-up
    window: int  # steps in which one actuator may act: 2 % of the run
    tokens: float  # learned from
    sequences: int  # read when this step was done
    batch: int  # sequences a step
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)  # domain -> share
    languages: Mapping[str, str] = dataclasses.field(default_factory=dict)  # domain -> language
    chance: float = math.inf  # nats of a model that knows nothing: ln of the vocabulary
    # Least and most update ratio of the reference, over what the smoothed ratio still remembers.
    reference: tuple[float, float] | None = None
    odds: float | None = None  # that the target is reached, by the forecast; None: nobody knows
    decays: tuple[Decay, ...] = ()  # what the forecast says of other decays; when there is one
    upcoming: Upcoming | None = None  # None: this is the last phase
    mix: Mix | None = None  # None: not asked at this step, or too early to tell

    def alarm(self, *kinds: str) -> Alarm | None:
        """The first alarm of these kinds that this step raised."""
        return next((alarm for alarm in self.assessment.alarms if alarm.kind in kinds), None)

    def unanswered(self, *kinds: str) -> Alarm | None:
        """The first alarm of these kinds, of now or of lately, that no rule has acted on."""
        waiting = (x.alarm for x in self.memory.waiting if x.alarm.kind in kinds)
        return self.alarm(*kinds) or next(waiting, None)


class Proposal(NamedTuple):
    """What a rule wants."""

    changes: Mapping[str, float] = {}  # fields of the control
    request: Request | None = None
    evidence: Mapping[str, Any] = {}
    weights: dict[str, float] | None = None  # of the mixture, domain -> share
    delay: int = 0  # steps more than a window until the effect is judged
    judged: bool = True  # by the loss; not what only begins to act later than that


class Rule(NamedTuple):
    """One entry of the ranked list."""

    name: str
    family: Family
    cooldown: float  # windows between two actions
    most: float  # actions in a run
    propose: Callable[[Situation], Proposal | None]
    window: Callable[[Situation], int] = lambda situation: situation.window
    judge: Literal["loss", "none"] = "loss"  # what shows, after the window, whether it helped
