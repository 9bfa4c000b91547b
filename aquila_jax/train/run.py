"""One run at work: the devices' state, the host's state, and the files, kept in step."""

import collections
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax

from aquila_jax import checkpoint
from aquila_jax.config import Config, located
from aquila_jax.core.signals import Decision
from aquila_jax.evaluate import suite
from aquila_jax.train import cycle, newcomers, orders, phases, rewind, speed
from aquila_jax.train import host as hosts
from aquila_jax.train.cycle import Moment
from aquila_jax.train.host import HostState
from aquila_jax.train.inbox import Inbox
from aquila_jax.train.machinery import machine
from aquila_jax.train.reading import Reader
from aquila_jax.train.records import Records
from aquila_jax.train.snapshots import Ring
from aquila_jax.train.state import abstract_state
from aquila_jax.train.watchdog import Watchdog
from aquila_jax.train.workdir import Workdir

Turn = Literal["on", "back", "stop"]


class Run:
    """Everything of a run that is not a value: use as a context, under the mesh."""

    def __init__(self, config: Config, workdir: Path, *, report: Callable[[str], None]):
        self.report = report
        self.folder = Workdir(workdir, config, writes=jax.process_index() == 0)
        self.config = config = located(config, workdir)
        self._open(())
        self.checkpoints = checkpoint.Checkpoints(
            str(workdir.absolute() / "checkpoints"),
            keep=config.train.keep,
            keep_every=config.train.keep_every or None,
        )
        self.ring = Ring(config.mentor.snapshots)
        self.records = Records(self.folder, lambda: self.languages, report=report)
        self.inbox = Inbox(self.folder, lambda place: newcomers.inspect(config, self.store, place))
        self.watchdog = Watchdog(config.train.stall_seconds, self._stalled)
        self.inflight, self.reader = collections.deque(), Reader()

    def __enter__(self) -> "Run":
        begun = time.time()
        like = abstract_state(self.machine.program, self.machine.mesh)
        restored = self.checkpoints.restore(like, report=self.report)
        kind = "start" if restored is None else "resume"
        if restored is None:
            self._start()
        else:
            self._resume(*restored)
        self.folder.event(kind, self.host.step, seconds=time.time() - begun, **speed.machine())
        if restored is None:
            self.evaluate()
        return self

    def __exit__(self, *_) -> None:
        self.watchdog.close()
        self.reader.close()
        self.checkpoints.close()
        self.folder.close()

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
        for order in self.inbox.orders(self.host, self.languages):
            self.host, lines = orders.apply(self.host, order)
            self._tell(self.host.step, lines)
            if order.get("add_source"):
                self._open(self.host.joined)
            turn = self._follow(orders.decision(self.host, order))
        return turn

    def dispatch(self) -> None:
        """Starts one step on the devices, unless that was the last; does not wait for it."""
        if self._all_read:
            return
        self.host, lines = phases.advance(self.config, self.host)
        self._tell(self.host.step, lines)
        self.watchdog.arm()
        batch = self.reader.next(self.machine, self.host)
        self.state, self.host, done = cycle.launch(self.machine, self.state, self.host, batch)
        self.inflight.append(done)

    def settle(self) -> Turn:
        """Reads the signals of all but the last few steps, and does what follows from them."""
        lag = 0 if self._all_read else self.config.train.lag
        while len(self.inflight) > lag:
            done = cycle.read(self.inflight.popleft())
            self.watchdog.done()
            self.host = cycle.count(self.host, done)
            self.records.add(done, self.host)
            self.host, lines, decision = cycle.learn(self.machine, self.host, done)
            self._tell(done.step, lines)
            turn = "on" if decision is None else self._follow(decision)
            if turn != "on":
                return turn
        self.watchdog.rest()
        return "on"

    def remember(self) -> None:
        """Keeps this moment in host memory, for a rewind."""
        self.ring.keep(self._moment())

    def save(self) -> None:
        """Starts writing a checkpoint of this step; what fails is told, and tried at the next."""
        begun = time.time()
        unread = rewind.to_json(self.inflight, self.records.line)
        where = hosts.to_json(self.host) | self.folder.counts() | {"inflight": unread}
        try:
            self.checkpoints.save(self.host.step, self.state, where)
        except checkpoint.CheckpointError as error:
            self.report(str(error))
        self.records.pause("save", self.host.step, begun)

    def evaluate(self) -> None:
        """Measures held-out text and questions; changes nothing."""
        begun = time.time()
        config, where = self.config, {"step": self.host.step, "tokens": self.host.targets}
        for line in suite.evaluate(
            config.evaluate, self.state.model, self.store, length=config.data.length
        ):
            self.records.evaluation(where, line)
            self.report(suite.in_words(line))
        self.records.pause("evaluate", self.host.step, begun)

    def finish(self) -> None:
        """Evaluates, saves, and waits for the disk, unless that was done before."""
        if self.host.step in self.checkpoints.steps() and not self.inflight:
            return
        self.evaluate()
        self.save_over()
        self.folder.event("finish", self.host.step)

    def _start(self) -> None:
        self.state, self.host, _ = rewind.beginning(self.machine)
        self.folder.open_lines({})
        names, sizes = self.languages, self.machine.stream.sizes
        start = {"kind": "start", "name": self.config.name, "domains": names, "sizes": sizes}
        self._tell(0, [start, *phases.opening(self.config, self.host)])

    def _open(self, joined) -> None:
        """The store, and what is built for its domains; more of them compile the step anew."""
        self.store = newcomers.open_all(self.config, joined)
        self.machine = machine(self.config, self.store)
        self.languages = self.machine.mentor.languages

    def _resume(self, state, saved: dict) -> None:
        self._open(saved["joined"])
        self.state, self.host, inflight = rewind.from_json(self.machine, saved, state)
        self.inflight.extend(inflight)
        self.checkpoints.discard_after(self.host.step)
        self.folder.open_lines(saved)
        self.report(f"going on after step {self.host.step:,}")

    def _follow(self, decision: Decision) -> Turn:
        """Does what a decision requests of the loop."""
        request = decision.request
        if request is None or request.kind in ("batch", "phase"):
            return "on"
        if request.kind == "checkpoint":
            self.save_over()
            return "on"
        if request.kind == "rewind":
            self._go_back(decision)
            return "back"
        self.report(f"stopping: {request.arguments.get('why', 'a person asked for it')}")
        return "stop"

    def _go_back(self, decision: Decision) -> None:
        """A new timeline from an earlier step on; from now on the disk knows of no other."""
        begun, left = time.time(), self.host.step
        while self.inflight:  # they were run, so they are counted, but nobody decides on them
            done = cycle.read(self.inflight.popleft())
            self.host = cycle.count(self.host, done)
            self.records.add(done, self.host)
        self.state = None
        moment, evidence = rewind.go_back(
            self.machine,
            decision,
            ring=self.ring,
            checkpoints=self.checkpoints,
            steer=self._steered_before,
            shown=self.records.shown,
        )
        then = cycle.settled(self.machine, moment)
        self.state = moment.state
        self.host, lines = hosts.back(self.host, then, decision)
        line = rewind.told(self.host, decision, left=left, evidence=evidence)
        self._tell(decision.step, [line, *lines])
        self.ring.forget_after(then.step)
        self.save_over()
        self.report(f"back from step {left:,} to step {then.step:,}")
        self.records.pause("rewind", then.step, begun)

    def _stalled(self, seconds: float) -> None:
        self.folder.event("stall", self.host.step, seconds=seconds)

    def save_over(self) -> None:
        """Saves this step, also where a checkpoint of it or of later steps exists."""
        self.checkpoints.wait()
        self.checkpoints.discard_after(self.host.step - 1)
        self.save()
        self.checkpoints.wait()

    def _steered_before(self, host: HostState) -> HostState:
        order = self.inbox.taken(host)
        return host if order is None else orders.apply(host, order)[0]

    def _tell(self, step: int, lines: list[dict]) -> None:
        for line in lines:
            self.folder.journal.append(step, **line)

    def _moment(self) -> Moment:
        return Moment(self.state, self.host, tuple(self.inflight))
