"""One run at work: the devices' state, the host's state, and the files, kept in step."""

import collections
import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax

from aquila_jax.checkpoint import Checkpoints
from aquila_jax.config import Config, located
from aquila_jax.core.signals import Decision
from aquila_jax.evaluate import suite
from aquila_jax.train import cycle, exam, newcomers, orders, phases, pilot, rewind, saving, speed
from aquila_jax.train.cycle import InFlight, Moment
from aquila_jax.train.fleet import Fleet
from aquila_jax.train.inbox import Inbox
from aquila_jax.train.machinery import opened
from aquila_jax.train.reader import Reader
from aquila_jax.train.records import Records
from aquila_jax.train.snapshots import Ring
from aquila_jax.train.state import abstract_state
from aquila_jax.train.watchdog import Watchdog
from aquila_jax.train.workdir import Workdir

Turn = Literal["on", "back", "stop"]  # goes on; goes on from an earlier step; leaves the loop


class Run:
    """Everything of a run that is not a value: use as a context, under the mesh."""

    def __init__(self, config: Config, workdir: Path, *, report: Callable[[str], None]):
        self.report = report
        with contextlib.ExitStack() as opening:  # what fails here leaves nothing open
            self._open(config, workdir, opening)
            self._begin()
            self.closing = opening.pop_all()

    def _open(self, config: Config, workdir: Path, opening: contextlib.ExitStack) -> None:
        self.folder = Workdir(workdir, config, writes=jax.process_index() == 0)
        opening.callback(self.folder.close)
        self.config = config = located(config, workdir)
        self.questions = suite.read(config.evaluate.questions)
        self.machine = opened(config, ())
        keep, every = config.train.keep, config.train.keep_every or None
        self.checkpoints = Checkpoints(self.folder.checkpoints, keep=keep, keep_every=every)
        opening.callback(self.checkpoints.close)
        self.ring = Ring(config.mentor.snapshots)
        self.records = Records(
            self.folder, lambda: self.machine.mentor.languages, report=self.report
        )
        self.inbox = Inbox(self.folder)
        self.inflight, self.reader = collections.deque(), Reader()
        opening.callback(self.reader.close)
        self.watchdog = Watchdog(config.train.stall_seconds, self._stalled)
        opening.callback(self.watchdog.close)
        self.compiled: set[tuple[int, int, str]] = set()
        self.fleet, self.saved, self.done = Fleet(), None, False

    def _begin(self) -> None:
        begun = time.monotonic()
        like = abstract_state(self.machine.program, self.machine.mesh)
        restored = self.checkpoints.restore(like, report=self.report)
        kind = "start" if restored is None else "resume"
        self._start() if restored is None else self._resume(*restored)
        told = speed.machine(self.config.model) | {"seconds": time.monotonic() - begun}
        self.folder.event(kind, self.host.step, **told)
        self.folder.event("hosts", self.host.step, **self.fleet.survey(self.state))
        if restored is None:
            self.evaluate()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, _, error: BaseException | None, __) -> None:
        if error is not None:
            self.folder.failed(self.host.step, error)
        self.closing.close()

    @property
    def finished(self) -> bool:
        """Whether the plan's last sequence has been read and learned from."""
        return self._all_read and not self.inflight

    @property
    def _all_read(self) -> bool:
        return self.host.sequences >= self.config.schedule.total

    def due(self, period: int) -> bool:
        """Whether something that happens every `period` steps happens after this one."""
        return period > 0 and self.host.step % period == 0

    def listen(self) -> Turn:
        """Does what a person asked for since the last step."""
        turn: Turn = "on"
        for order in self.inbox.orders(self.host, self.machine):
            self.host, lines = orders.apply(self.host, order)
            self.tell(self.host.step, lines)
            if order.get("add_source"):  # more domains compile the step anew
                self.machine = opened(self.config, self.host.joined)
            turn = self._follow(orders.decision(self.host, order))
        return turn

    def dispatch(self) -> None:
        """Starts one step on the devices, unless that was the last; does not wait for it."""
        if self._all_read:
            return
        self.host, lines = phases.advance(self.config, self.host)
        self.tell(self.host.step, lines)
        self.watchdog.arm()
        with self.fleet.timed("data"):
            batch, before = self.reader.next(self.machine, self.host), self.host.step
        variant, begun = cycle.variant(self.machine, self.host), None
        if variant not in self.compiled:
            begun = self.waited()  # and unwatched: to compile may take its time
        self.state, self.host, done = cycle.launch(self.machine, self.state, self.host, batch)
        self.inflight.append(done)
        if begun is not None:
            self.compiled.add(variant)
            self.records.pause("compile", before, begun)

    def settle(self) -> Turn:
        """Reads the signals of all but the last few steps, and does what follows from them."""
        lag = 0 if self._all_read else self.config.train.lag
        while len(self.inflight) > lag:
            done = self.read()
            self.host, lines, decision = cycle.learn(self.machine, self.host, done)
            self.tell(done.step, lines)
            turn = "on" if decision is None else self._follow(decision)
            if turn != "on":
                return turn
        self.watchdog.rest()
        return "on"

    def remember(self) -> None:
        """Keeps this moment in host memory, for a rewind."""
        begun = self.waited()
        self.ring.keep(self.moment())
        self.records.pause("snapshot", self.host.step, begun)

    def save(self) -> None:
        """Starts writing a checkpoint of this step; what fails is told, and tried at the next."""
        saving.begin(self)

    def evaluate(self) -> None:
        """Measures held-out text and questions."""
        begun = self.waited()
        self.host, self.saved = exam.examine(self), None  # what was measured is not in it
        self.records.pause("evaluate", self.host.step, begun)

    def finish(self) -> None:
        """Evaluates, saves, and waits for the disk, unless that was done before."""
        if self.done:
            return
        self.evaluate()
        self.done = True
        self.save_over()
        self.inbox.close(self.host.step)
        self.folder.event("finish", self.host.step)

    def _start(self) -> None:
        self.state, self.host, _ = rewind.beginning(self.machine)
        self.folder.open_lines({})
        self.tell(0, cycle.opening(self.machine, self.host))
        if pilot.asked(self.config.mentor):
            pilot.tried(self, "probe", pilot.begin)

    def _resume(self, state, saved: dict) -> None:
        if saved["joined"]:
            self.machine = opened(self.config, saved["joined"])
        newcomers.require_same(self.machine.stream.store, saved)
        self.done = saved.get("finished", False)
        self.state, self.host, inflight = rewind.from_json(self.machine, saved, state)
        self.inflight.extend(inflight)
        self.checkpoints.discard_after(self.host.step)
        self.folder.open_lines(saved)
        self.saved = self.host
        self.report(f"going on after step {self.host.step:,}")

    def _follow(self, decision: Decision) -> Turn:
        """Does what a decision requests of the loop."""
        request = decision.request
        if request is None:
            return "on"
        if request.kind == "branch":
            pilot.tried(self, "branch", functools.partial(pilot.branch, decision=decision))
        if request.kind == "checkpoint":
            self.save_over()
        if request.kind in ("batch", "branch", "checkpoint", "phase"):
            return "on"
        if request.kind == "rewind":
            return "back" if rewind.tried(self, decision) else "on"
        self.report(f"stopping: {request.arguments.get('why', 'a person asked for it')}")
        return "stop"

    def read(self) -> InFlight:
        """The next step in flight, done, counted and written down."""
        with self.fleet.timed("device"):
            done = self.watchdog.during(cycle.read, self.inflight.popleft())
        self.host = cycle.count(self.host, done)
        self.records.add(done, self.host)
        return done

    def save_over(self) -> None:
        """Saves this step in place of those of it and of later ones; CheckpointError if it cannot."""
        saving.over(self)

    def tell(self, step: int, lines: list[dict]) -> None:
        """Lines for the journal."""
        for line in lines:
            self.folder.journal.append(step, **line)

    def _stalled(self, *told) -> None:
        self.folder.stalled(self.host.step, *told)

    def waited(self) -> float:
        """The time at which all that was started is done: what is a pause begins there."""
        self.watchdog.during(jax.block_until_ready, self.state.step)
        return time.monotonic()

    def moment(self) -> Moment:
        """What a rewind could go back to."""
        return Moment(self.state, self.host, tuple(self.inflight))
