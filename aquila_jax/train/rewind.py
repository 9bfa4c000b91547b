"""Back to an earlier step, exactly: from host memory, or from a checkpoint and run forward again."""

from collections.abc import Callable

import jax

from aquila_jax.checkpoint import CheckpointError, Checkpoints
from aquila_jax.core.signals import Control, Decision
from aquila_jax.train import cycle, phases, pilot, record
from aquila_jax.train import host as hosts
from aquila_jax.train.attribute import Shown, attribute
from aquila_jax.train.cycle import InFlight, Machine, Moment
from aquila_jax.train.host import HostState
from aquila_jax.train.snapshots import Ring
from aquila_jax.train.state import abstract_state, init_state

Steer = Callable[[HostState], HostState]  # applies what a person asked for at this step


def beginning(machine: Machine) -> Moment:
    """The moment before the first step."""
    state = init_state(machine.program, jax.random.key(machine.config.train.seed))
    sizes = {
        name: size
        for name, size in machine.stream.sizes.items()
        if name not in machine.stream.store.elsewhere
    }
    return Moment(state, hosts.start(machine.config, machine.mentor, sizes), ())


def reach(
    machine: Machine,
    now: HostState,
    step: int,
    *,
    ring: Ring,
    checkpoints: Checkpoints,
    steer: Steer,
) -> Moment:
    """The moment after `step` on the way to `now`, which is then in the ring.

    Where the ring no longer has it, the steps since the newest checkpoint before it in the same
    timeline are run again, so that it does not matter for the result when a run was last started.
    CheckpointError where that timeline's first checkpoint is damaged.
    """
    if (kept := ring.find(step)) is not None:
        return kept
    older = [other for other in checkpoints.steps() if other <= step]
    timeline = hosts.timeline_of(now, step)
    moment = _newest(machine, checkpoints, older, timeline=timeline)
    if moment is None and timeline > 0:
        raise CheckpointError(
            f"step {step} cannot be reached again: no checkpoint from step "
            f"{now.roots[timeline - 1]} on, where the run last went back to before it, is whole; "
            "rewind to an earlier step."
        )
    if moment is None:  # a rewind brings along what the trials found
        moment = _begun(machine) if step else beginning(machine)
    moment = advance(machine, moment, step, steer=steer)
    ring.keep(moment)
    return moment


def go_back(
    machine: Machine,
    now: HostState,
    decision: Decision,
    *,
    ring: Ring,
    checkpoints: Checkpoints,
    steer: Steer,
    shown: Callable[[int], Shown | None],
) -> tuple[Moment, dict]:
    """The moment that a rewind from `now` asks for, and whose fault the suspect step was, as evidence.

    `shown` tells what a recorded step showed. There is no evidence where no step was named; and the
    second time the same trouble comes, it has been looked into already.
    """
    asked = decision.request.arguments
    step, suspect = asked["to_step"], asked.get("suspect_step")
    moment = reach(machine, now, step, ring=ring, checkpoints=checkpoints, steer=steer)
    if suspect is None or decision.evidence.get("recurrence"):
        return moment, {}
    before, bad = shown(suspect - 1), shown(suspect)
    if before is None or bad is None:
        return moment, {}
    at = advance(machine, moment, suspect - 1, steer=steer)
    found = attribute(machine, at, before=before, bad=bad, later=asked["exclude"][1])
    return ring.find(step), {"suspect_step": suspect} | found


def advance(machine: Machine, moment: Moment, step: int, *, steer: Steer) -> Moment:
    """Runs on to `step` as the run did, without telling anybody; uses up the state of `moment`."""
    state, host, inflight = moment.state, moment.host, list(moment.inflight)
    while host.step < step:
        host, _ = phases.advance(machine.config, steer(host))
        batch = cycle.read_batch(machine, host, host.sequences)
        state, host, done = cycle.launch(machine, state, host, batch)
        inflight.append(done)
        while len(inflight) > machine.config.train.lag:
            done = cycle.read(inflight.pop(0))
            host, _, decision = cycle.learn(machine, cycle.count(host, done), done)
            if pilot.wanted(decision):
                kept = Ring(1)
                kept.keep(Moment(state, host, ()))
                state = None
                host, _ = pilot.branch(machine, kept, host, decision)
                state = kept.find(host.step).state
    return Moment(state, host, tuple(inflight))


def tried(run, decision: Decision) -> bool:
    """A new timeline from an earlier step on; from now on the disk knows of no other.

    False where that step cannot be reached: the run stays where it is, and says so.
    """
    begun, left, kept = run.waited(), run.host.step, Ring(1)
    try:
        run.checkpoints.wait()
    except CheckpointError as error:  # of a save that came to nothing
        run.report(str(error))
    kept.keep(run.moment())
    run.state = None
    try:
        moment, evidence = go_back(
            run.machine,
            run.host,
            decision,
            ring=run.ring,
            checkpoints=run.checkpoints,
            steer=run.inbox.again,
            shown=run.records.shown,
        )
    except CheckpointError as error:
        run.state = kept.find(left).state
        run.tell(decision.step, [unreached(decision, str(error))])
        run.report(str(error))
        return False
    while run.inflight:  # they were run, so they are counted, but nobody decides on them
        run.read()
    run.state, then = moment.state, cycle.settled(run.machine, moment)
    run.host, lines = hosts.back(run.host, then, decision)
    line = told(run.host, decision, left=left, evidence=evidence)
    run.tell(decision.step, [line, *lines])
    run.ring.keep(run.moment())  # in place of that of the timeline before, and of later ones
    run.save_over()
    run.report(f"back from step {left:,} to step {then.step:,}")
    run.records.pause("rewind", then.step, begun)
    return True


def unreached(decision: Decision, why: str) -> dict:
    """The journal's line about a rewind that came to nothing."""
    line = {"kind": "unreached", "author": decision.author, "rule": decision.rule}
    return line | {"to_step": decision.request.arguments["to_step"], "why": why}


def told(host: HostState, decision: Decision, *, left: int, evidence: dict | None) -> dict:
    """The journal's line about a rewind to `host`, from `left` dispatched steps."""
    line = {"kind": "rewind", "author": decision.author, "rule": decision.rule}
    line |= {"to_step": host.step, "left_step": left, "timeline": host.timeline}
    return line | {"wasted": host.wasted, "evidence": evidence}


def to_json(inflight, line: Callable[[InFlight], dict]) -> list[dict]:
    """Steps in flight as they are saved with a checkpoint."""
    return [{"control": done.control._asdict(), "line": line(done)} for done in inflight]


def from_json(machine: Machine, saved: dict, state) -> Moment:
    """The moment of a checkpoint."""
    domains = tuple(machine.mentor.languages)
    inflight = tuple(
        InFlight(
            step=one["line"]["step"],
            sequences=one["line"]["sequences"],
            batch=one["line"]["batch"],
            micro_batches=one["line"]["micro_batches"],
            control=Control(**one["control"]),
            signals=record.to_signals(one["line"], domains),
        )
        for one in saved["inflight"]
    )
    return Moment(state, hosts.from_json(saved), inflight)


def _begun(machine: Machine) -> Moment:
    """The moment before the first step, with the rate that was found: by the same trials again."""
    if not pilot.asked(machine.config.mentor):
        return beginning(machine)
    kept = Ring(1)
    kept.keep(beginning(machine))
    host, _ = pilot.begin(machine, kept, kept.moments[0].host)
    return kept.find(0)._replace(host=host)


def _newest(
    machine: Machine, checkpoints: Checkpoints, steps: list[int], *, timeline: int
) -> Moment | None:
    """The latest of these that is whole and of that timeline."""
    like = abstract_state(machine.program, machine.mesh)
    for step in reversed(steps):
        try:
            restored = checkpoints.restore(like, step=step, report=lambda line: None)
        except CheckpointError:
            continue  # damaged: the one before it will do
        if restored[1]["timeline"] == timeline:
            return from_json(machine, restored[1], restored[0])
    return None
