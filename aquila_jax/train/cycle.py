"""One turn of the run as values: a step is launched, read, learned from, and obeyed."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import numpy as np

from aquila_jax.ate.schedules import learning_rate
from aquila_jax.config import Config
from aquila_jax.core import feed
from aquila_jax.core.signals import Batch, Control, Decision, Signals, to_host
from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.stream import Stream
from aquila_jax.train import host as hosts
from aquila_jax.train import mentor, oddity, phases
from aquila_jax.train.host import HostState
from aquila_jax.train.mentor import Mentor
from aquila_jax.train.mixing import Supply
from aquila_jax.train.state import Program, TrainState
from aquila_jax.train.step import train_step
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.tokens import Usual


class Machine(NamedTuple):
    """What every step needs and none changes."""

    config: Config
    mesh: jax.sharding.Mesh
    program: Program
    stream: Stream
    mentor: Mentor
    usual: Usual | None = None  # tokens of the store; None: nobody compares


class InFlight(NamedTuple):
    """A step that was started and whose signals nobody has learned from yet."""

    step: int
    sequences: int  # read when it was done
    batch: int  # of them, by this step
    micro_batches: int  # in which it read them
    control: Control
    signals: Signals


class Moment(NamedTuple):
    """All of a run between two steps: from it the run goes on the same, bit for bit."""

    state: TrainState
    host: HostState
    inflight: tuple[InFlight, ...]


class Learned(NamedTuple):
    """What follows from the signals of one step."""

    host: HostState
    lines: list[dict]  # for the journal
    decision: Decision | None  # None: nobody decides, or only in shadow


def opening(machine: Machine, host: HostState) -> list[dict]:
    """The first lines of the journal: what is to be learned, and from which mixture."""
    start = {"kind": "start", "name": machine.config.name, "domains": machine.mentor.languages}
    start |= {"sizes": machine.stream.sizes}
    return [start, *phases.opening(machine.config, host)]


def shape(machine: Machine, host: HostState) -> tuple[int, int]:
    """Micro-batches and their sequences in the next step; a larger batch has more of them."""
    train = machine.config.train
    micro = train.batch // train.accumulate
    return host.batch // micro, micro


def rows(machine: Machine, host: HostState) -> np.ndarray:
    """Those of a micro-batch that this process reads."""
    return feed.local_rows(machine.mesh, (*shape(machine, host), machine.config.data.length))


def read_batch(machine: Machine, host: HostState, first: int) -> Batch:
    """This process's rows of a step like the next one, but for the data from cursor `first` on."""
    return machine.stream.batch(host.ledger, first, shape(machine, host), rows(machine, host))


def launch(
    machine: Machine, state: TrainState, host: HostState, batch: Batch
) -> tuple[TrainState, HostState, InFlight]:
    """Starts the next step on the devices; does not wait for it. `state` is used up."""
    control = jax.device_put(Control(*map(np.float32, host.control)))
    after, (parts, micro) = hosts.dispatched(host), shape(machine, host)
    placed = feed.put(batch, machine.mesh, micro)
    state, signals = train_step(
        machine.program, state, placed, control, statistics=statistics(machine, after.step)
    )
    if machine.usual is not None:
        odd = oddity.measure(machine.usual, batch, machine.mesh, micro)
        signals = signals._replace(token_oddity_MC=odd)
    done = InFlight(after.step, after.sequences, host.batch, parts, host.control, signals)
    return state, after, done


def statistics(machine: Machine, step: int) -> Literal["light", "heavy"]:
    """Which of the two compiled variants a step runs."""
    return "light" if step % machine.config.train.heavy_every else "heavy"


def variant(machine: Machine, host: HostState) -> tuple[int, int, str]:
    """What decides which compiled program the next step runs."""
    return machine.program.domains, host.batch, statistics(machine, host.step + 1)


def count(host: HostState, done: InFlight) -> HostState:
    """The step's targets, added to those learned from."""
    targets = int(done.signals.domain_tokens_M.sum(dtype=np.float64))
    return dataclasses.replace(host, targets=host.targets + targets)


def learn(machine: Machine, host: HostState, done: InFlight) -> Learned:
    """Monitor and policy see one finished step, whose signals are on the host and counted."""
    config = machine.config
    if config.mentor.mode == "off":
        return Learned(host, [], None)
    context = Context(
        step=done.step,
        tokens=host.targets - host.wasted,
        batch=done.batch,
        micro_batches=done.micro_batches,
        learning_rate=float(
            learning_rate(config.schedule, done.sequences - done.batch, done.control, xp=np)
        ),
        progress=done.sequences / config.schedule.total,
        weights=ledgers.weights_at(host.ledger, done.sequences - done.batch),
        coming=ledgers.weights_at(host.ledger, host.sequences),
    )
    state, lines, decision = mentor.consider(
        machine.mentor,
        host.mentor,
        _wide(done.signals, len(machine.mentor.languages)),
        control=host.control,
        context=context,
        batches=host.batches,
        upcoming=phases.upcoming(config, host),
        supply=_supply(machine, host, done),
    )
    host = dataclasses.replace(host, mentor=state)
    if config.mentor.mode != "act":
        return Learned(host, lines, None)
    host, more = hosts.obey(host, decision)
    return Learned(host, [*lines, *more], decision)


def _wide(signals: Signals, domains: int) -> Signals:
    """With room for domains that joined while the step was on its way."""
    names = ("domain_nats_M", "domain_tokens_M", "token_oddity_MC")
    told = {name: getattr(signals, name) for name in names}
    more = domains - len(signals.domain_nats_M)
    wide = {
        name: np.pad(sums, [(0, more)] + [(0, 0)] * (sums.ndim - 1))
        for name, sums in told.items()
        if sums is not None
    }
    return signals._replace(**wide)


def _supply(machine: Machine, host: HostState, done: InFlight) -> Supply | None:
    """The data, once a window, where online weights are asked for."""
    wanted = machine.config.mentor.online_weights != "off"
    if not wanted or done.step % machine.mentor.window:
        return None
    return phases.supply(machine.config, host, done.sequences)


def judge(
    machine: Machine, host: HostState, evaluation: list[dict]
) -> tuple[HostState, list[dict]]:
    """What follows from an evaluation; nothing where nobody watches."""
    if machine.config.mentor.mode == "off":
        return host, []
    state, lines = mentor.judge(host.mentor, evaluation)
    return dataclasses.replace(host, mentor=state), lines


def settled(machine: Machine, moment: Moment) -> HostState:
    """The host's state once everything in flight at `moment` has been learned from."""
    host = moment.host
    for done in moment.inflight:
        done = read(done)
        host = learn(machine, count(host, done), done).host
    return host


def read(done: InFlight) -> InFlight:
    """With its signals on the host; waits for the step."""
    return done._replace(signals=to_host(done.signals))
