"""What training carries from step to step on the host, and how it moves: pure, alike on every process."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from aquila_jax.ate import policy
from aquila_jax.ate.optimizer import neutral_control
from aquila_jax.config import Config
from aquila_jax.core.signals import Control, Decision
from aquila_jax.dmu import exclusion, ledger_json, prior, recipe
from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.ledger import Ledger
from aquila_jax.dmu.recipe import Place
from aquila_jax.train import mentor
from aquila_jax.train.mentor import Mentor, MentorState

_PLAIN = ("step", "sequences", "targets", "wasted", "timeline", "weights", "steers")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostState:
    """Where the run stands. The device state counts step and sequences too; they agree."""

    step: int
    sequences: int  # read in this timeline: the stream's cursor
    targets: int  # learned from, in all timelines
    wasted: int  # of them, in stretches that a rewind left behind
    timeline: int  # grows with every rewind
    roots: tuple[int, ...]  # the step that each rewind went back to: where its timeline begins
    ledger: Ledger
    weights: dict[str, float]  # of the ledger's last entry
    batches: tuple[tuple[int, int], ...]  # (first step, sequences a step) of each batch size
    place: Place  # in the recipe
    joined: tuple[dict, ...]  # stores that came in on the way: {"store": path, "domains": {...}}
    steers: int  # changes by a person that were taken so far
    control: Control
    mentor: MentorState

    @property
    def batch(self) -> int:
        """Sequences in the next step."""
        return self.batches[-1][1]


def start(config: Config, mentor_: Mentor, sizes: Mapping[str, int]) -> HostState:
    """Before the first step; `sizes` are the sequences of each domain."""
    data, total = config.data, config.schedule.total
    weights = prior.mixture(data.mixture, data.weights, dict(sizes), total)
    if data.phases:
        weights = recipe.mixtures(data.phases, sizes, total)[0]
    control = neutral_control(config.optimizer, config.schedule, config.train.z_loss)
    return HostState(
        step=0,
        sequences=0,
        targets=0,
        wasted=0,
        timeline=0,
        roots=(),
        ledger=ledgers.start(config.data.seed, dict(sizes), weights),
        weights=weights,
        batches=((1, config.train.batch),),
        place=Place(),
        joined=(),
        steers=0,
        control=control,
        mentor=mentor.start(mentor_, control),
    )


def timeline_of(host: HostState, step: int) -> int:
    """The timeline in which the run came by `step` on its way to where it stands."""
    begun = [number for number, root in enumerate(host.roots, 1) if root <= step]
    return max(begun, default=0)


def dispatched(host: HostState) -> HostState:
    """One step more is on its way."""
    return dataclasses.replace(host, step=host.step + 1, sequences=host.sequences + host.batch)


def obey(host: HostState, decision: Decision) -> tuple[HostState, list[dict]]:
    """What a decision changes from the next step on, and lines for the journal about it.

    A request that needs more than this state (rewind, checkpoint, stop) is the loop's.
    """
    host = dataclasses.replace(host, control=decision.control)
    if decision.exclude:
        host = dataclasses.replace(host, ledger=_skip(host.ledger, decision.exclude))
    if decision.request is not None and decision.request.kind == "batch":
        grown = (host.step + 1, decision.request.arguments["batch"])
        host = dataclasses.replace(host, batches=(*host.batches, grown))
    lines = []
    if decision.request is not None and decision.request.kind == "phase":
        host, lines = enter(host, **decision.request.arguments)
    host, more = remix(host, decision.weights or host.weights)
    return host, [*lines, *more]


def enter(host: HostState, *, phase: int, name: str, why: str) -> tuple[HostState, list[dict]]:
    """A phase of the recipe begins; its mixture comes with the steps that follow."""
    where = {"first_step": host.step + 1, "first_sequence": host.sequences}
    line = {"kind": "phase", "name": name, "why": why} | where
    decided = phase if why in recipe.EVENTS else host.place.decided
    return dataclasses.replace(host, place=Place(phase, host.sequences, 0, why, decided)), [line]


def remix(host: HostState, weights: dict[str, float]) -> tuple[HostState, list[dict]]:
    """Another mixture from the next sequence on, unless it is the one in force.

    Domains of stores that joined come into the ledger with the first mixture that names them.
    """
    if weights == host.weights:
        return host, []
    first = _next(host)
    new = {
        name: told["sequences"]
        for source in host.joined
        for name, told in source["domains"].items()
        if name not in host.ledger.domains
    }
    ledger = ledgers.append(host.ledger, first, weights, sizes=new)
    control = host.control
    if any(share > 0 and not host.weights.get(name) for name, share in weights.items()):
        # The monitor set this limit before it knew of the newcomer; it sets the next one.
        control = control._replace(loss_limit=math.inf)
    line = {"kind": "mixture", "first_sequence": first, "weights": weights}
    host = dataclasses.replace(host, ledger=ledger, weights=weights, control=control)
    return host, [line]


def servable(
    ledger: Ledger, weights: dict[str, float], *, otherwise: dict[str, float]
) -> dict[str, float]:
    """`weights` without domains of which everything is left out; `otherwise` if none is left."""
    free = dict(zip(ledger.domains, ledger.free(ledger.entries[-1]).tolist(), strict=False))
    kept = {name: share if free.get(name, 1) else 0.0 for name, share in weights.items()}
    if kept == weights:
        return weights
    total = sum(kept.values())
    return {name: share / total for name, share in kept.items()} if total else otherwise


def leave_out(host: HostState, content: Mapping[str, Sequence]) -> HostState:
    """No sequence of `content` (domain -> [first, last) of its sequences) is read from here on."""
    ledger = host.ledger
    for domain, ranges in content.items():
        ledger = ledgers.exclude(ledger, _next(host), domain, ranges)
    return dataclasses.replace(host, ledger=ledger)


def _next(host: HostState) -> int:
    """The stream number of the next sequence."""
    return int(exclusion.jump(host.ledger.skips, np.int64(host.sequences)))


def back(now: HostState, then: HostState, decision: Decision) -> tuple[HostState, list[dict]]:
    """`now` goes back to `then` in a new timeline; what was decided since stays decided.

    The monitor forgets what it saw since; the policy remembers what it did, and the models that
    were evaluated stay known. The limits of a step are those of then. Numbers left out once stay
    left out. What the recipe did since by its count of tokens is no decision: it is undone, with
    the mixture, and comes again at its time.
    """
    lost = now.targets - (then.targets - then.wasted)
    limits = {name: getattr(then.control, name) for name in ("loss_limit", "grad_norm_limit")}
    ledger = dataclasses.replace(then.ledger, skips=now.ledger.skips)
    asked = decision.request.arguments.get("exclude")  # of batches that have grown since, at most
    ranges = [(max(asked[0], then.sequences), asked[1])] if asked else []
    batches = then.batches
    if now.batch != then.batch:
        batches = (*batches, (then.step + 1, now.batch))
    place, weights = now.place, now.weights
    if place != then.place and (place.phase == then.place.phase or place.why == "tokens"):
        place, weights = then.place, recipe.toward(weights, then.weights, 0, recipe.STAIRS)
        if now.place.decided > place.phase:  # begins again here
            place = Place(now.place.decided, then.sequences, 0, "decided", now.place.decided)
    weights = servable(now.ledger, weights, otherwise=now.weights)
    remembered = now.mentor.policy
    if decision.author != "mentor":
        remembered = policy.returned(remembered)
    host = dataclasses.replace(
        then,
        targets=now.targets,
        wasted=lost,
        timeline=now.timeline + 1,
        roots=(*now.roots, then.step),
        ledger=_skip(ledger, ranges),
        batches=batches,
        place=place,
        joined=now.joined,
        steers=now.steers,
        control=decision.control._replace(**limits),
        mentor=then.mentor._replace(policy=remembered, successor=now.mentor.successor),
    )
    host, lines = remix(host, weights)
    left_out = now.ledger.entries[-1].excluded.items()
    return leave_out(host, {now.ledger.domains[n]: ranges for n, ranges in left_out}), lines


def to_json(host: HostState) -> dict:
    """Plain values with exact floats."""
    fields = {name: getattr(host, name) for name in _PLAIN}
    return fields | {
        "batches": host.batches,
        "roots": host.roots,
        "place": host.place,
        "ledger": ledger_json.to_json(host.ledger),
        "joined": host.joined,
        "control": host.control._asdict(),
        "mentor": mentor.to_json(host.mentor),
    }


def from_json(value: dict) -> HostState:
    """What `to_json` was given."""
    return HostState(
        **{name: value[name] for name in _PLAIN},
        batches=tuple((first, batch) for first, batch in value["batches"]),
        roots=tuple(value.get("roots", (0,) * value["timeline"])),
        place=Place(*value["place"]),
        joined=tuple(value["joined"]),
        ledger=ledger_json.from_json(value["ledger"]),
        control=Control(**value["control"]),
        mentor=mentor.from_json(value["mentor"]),
    )


def _skip(ledger: Ledger, cursors) -> Ledger:
    """`ledger` without what the cursors in `cursors` ([first, last) each) would have read."""
    for first, last in reversed(exclusion.merge(cursors)):  # a skip moves what lies behind it
        ends = exclusion.jump(ledger.skips, np.array([first, last - 1], np.int64)).tolist()
        ledger = ledgers.skip(ledger, ends[0], ends[1] + 1)
    return ledger
