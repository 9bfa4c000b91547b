"""Rules for damage that skipping cannot cure: go back, leave out the data, or call a person."""

from aquila_jax.ate.data_rules import FLOOR, NOTHING
from aquila_jax.ate.memory import Action, count, last
from aquila_jax.ate.rate_rules import LEAST
from aquila_jax.ate.situation import Proposal, Situation
from aquila_jax.core.signals import Request

MOST_FAILURES = 3
GIVEN_UP = 2  # forecasts in a row
PATIENCE = 200  # steps until a loss must have left that of chance
RECURRENCE_WINDOWS = 10  # trouble this soon after a rewind is the same trouble
SKIP_STEPS = 100  # after the last bad step, or two windows in a short run
GENTLER = 0.7
SEEN_LATE = 24  # steps: as long as bad data may have been read before anybody is sure
POINTING = ("non_finite_burst", "repeated_spikes")  # alarms that name the first bad step
BROKEN = (*POINTING, "loss_jump")  # of damage; the last one names a block, and may have a suspect
JUMP = 1.1  # times its loss before: a domain does not learn to be so much worse


def rewind(s: Situation) -> Proposal | None:
    """Goes back to before the trouble and leaves its data out; the next time, also 0.7 of the rate.

    Why: what five skips in 128 steps do not cure is damage, as is a loss that jumps in most domains
    at once and stays there, and damage is only undone by an older state; the same batches met from
    another state did not spike again (PaLM, arXiv 2204.02311, section 5.1, by hand). Bad data and a
    transient fault of hardware end with the first rewind; what comes back within ten windows is
    dynamics, which needs a lower rate and an older state. After `rewinds` of them it calls a
    person: Marin's 32B run was not saved by any of this, but by a change of architecture.
    """
    found = _damage(s)
    if found is None:
        return None
    first, evidence = found
    if count(s.memory, "rewind") >= s.config.rewinds:
        return _call(s, "rewinds are used up and the trouble is back", evidence)
    again = _recurrences(s)
    scale = s.control.lr_scale
    gentler = float(f"{max(GENTLER * scale, min(LEAST, scale)):.4g}")
    dynamics = again or evidence["alarm"] == "slow_divergence"
    return _back(
        s,
        first,
        {"lr_scale": gentler} if dynamics else {},
        evidence=evidence | {"recurrence": again},
        further=s.window * (2**again - 1),
    )


def set_aside(s: Situation) -> Proposal | None:
    """Goes back to before a stretch of bad data and leaves it out, without waiting for damage.

    Why: random tokens, one document repeated or labels shifted in a third of the domains for 5 %
    of a run are no outliers for long, since the model soon expects them; what is seen is a domain
    that leaves its own past at once, or whose tokens are not those of its store while the loss is
    in trouble. No healthy run of ours showed either. At most twice: what comes back then
    is the data as they are, and a person is told by the alarms; nor if the rewinds of `config`
    are used up, which damage may still need.
    """
    used = count(s.memory, "rewind") + count(s.memory, "set_aside")
    evidence = _bad_data(s) if used < s.config.rewinds else None
    return evidence and _back(s, max(s.assessment.step - SEEN_LATE + 1, 1), evidence=evidence)


def give_up(s: Situation) -> Proposal | None:
    """Stops and calls a person when three remedies in a row did not help.

    Why: a loop that goes on acting on what it does not understand is worse than none: in the
    pilot six useless rewinds cost 2.1 nats (science 4.4, reading 5).
    """
    if s.memory.failures < MOST_FAILURES:
        return None
    return _call(s, f"{s.memory.failures} remedies in a row did not help", {})


def hopeless(s: Situation) -> Proposal | None:
    """Stops a run that learns nothing, or cannot reach its target, where that is allowed.

    Why: no rule here has a remedy for it, and every further step is wasted. A run learns nothing
    if after its warm-up and 200 steps its loss is still that of chance, the logarithm of the
    vocabulary, which any text leaves in some dozen steps; or if the stalled alarm says so, over
    hundreds of them. It cannot reach its target by two forecasts in a row, after a quarter of the
    run, that give it less than 5 % (science 1.1.4). Without leave to stop, alarm and forecast
    alone are told.
    """
    if "stop" not in s.config.may:
        return None
    if s.memory.streaks.get("hopeless", 0) >= GIVEN_UP:
        evidence = {"target": s.config.target_loss, "odds": s.odds}
        return _call(s, f"a loss of {s.config.target_loss:g} is out of reach", evidence)
    loss, late = s.assessment.loss, s.assessment.step >= PATIENCE and not s.warming
    if late and loss > NOTHING * s.chance:
        return _call(s, "the loss is still that of chance", {"loss": loss, "chance": s.chance})
    alarm = s.alarm("stalled")
    if alarm is None:
        return None
    return _call(s, "the run does not learn", {"alarm": alarm.kind} | alarm.evidence)


def wrong_data(s: Situation) -> Proposal | None:
    """Stops a run whose reader gives other domains than the ledger asks for, where that is allowed.

    Why: it trains another model than was asked for, and no rule can mend a reader. Where two domains
    of ten supplied everything, runs ended 10 to 15 % worse whatever was done (docs/results.md).
    """
    alarm = s.alarm("mixture")
    if alarm is None or "stop" not in s.config.may:
        return None
    return _call(s, "the data are not those of the mixture", {"alarm": alarm.kind} | alarm.evidence)


def _call(s: Situation, why: str, evidence: dict) -> Proposal:
    return Proposal({}, Request("stop", {"why": why}), evidence)


def _back(
    s: Situation, first: int, changes: dict | None = None, *, evidence: dict, further: int = 0
) -> Proposal:
    """To before the step `first`, and `further` steps; its data and what follows are left out.

    Only a step that an alarm named is a suspect, to be done once more: elsewhere `first` is a guess
    with a margin, and two healthy steps side by side would give a verdict by chance.
    """
    wanted = max(first - 1 - further, 0)
    to_step = wanted - wanted % s.config.snapshot_every
    step = s.assessment.step
    span = step - first + 1
    begin = max(s.sequences - span * s.batch, 0)
    more = max(min(SKIP_STEPS, 2 * s.window), 2 * span)
    exclude = [begin, s.sequences + more * s.batch]
    asked = {"to_step": to_step, "exclude": exclude}
    suspect = first if evidence["alarm"] in POINTING else evidence.get("suspect")
    if suspect is not None:
        asked["suspect_step"] = suspect
    return Proposal(changes or {}, Request("rewind", asked), evidence, delay=step - to_step)


def _bad_data(s: Situation) -> dict | None:
    """What shows that the data of late steps are bad; None if nothing does."""
    jumps = [x for x in s.assessment.alarms if x.kind == "domain_jump"]
    jumps = [x for x in jumps if x.evidence["after"] > JUMP * x.evidence["before"]]
    jumps = [x for x in jumps if s.weights.get(x.evidence["domain"], 1.0) > 2 * FLOOR]
    odd = s.alarm("token_statistics")
    if odd and s.memory.troubled and s.memory.clock - s.memory.troubled <= SEEN_LATE:
        jumps.append(odd)
    return {"alarm": jumps[0].kind} | jumps[0].evidence if jumps else None


def _damage(s: Situation) -> tuple[int, dict] | None:
    """Where the damage began, and the evidence; None if nothing is damaged."""
    alarm = s.alarm(*BROKEN)
    if alarm is not None:
        return int(alarm.evidence["first"]), {"alarm": alarm.kind} | alarm.evidence
    alarm, before = s.alarm("slow_divergence"), last(s.memory, "back_off")
    if alarm is None or before is None or not _recent(s, before):
        return None
    first = min(before.step, s.assessment.step)
    return max(first - 2 * s.window, 1), {"alarm": alarm.kind} | alarm.evidence


def _recent(s: Situation, action: Action) -> bool:
    return s.memory.clock - action.clock <= RECURRENCE_WINDOWS * s.window


def _recurrences(s: Situation) -> int:
    """How many rewinds lie so close before this one that they were for the same trouble."""
    close = s.memory.clock - RECURRENCE_WINDOWS * s.window - s.config.snapshot_every
    return sum(action.rule == "rewind" and action.clock >= close for action in s.memory.actions)
