"""One run at work: the devices' state, the host's state, and the files, kept in step."""

import collections
import dataclasses
import faulthandler
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from aquila_jax import checkpoint
from aquila_jax.ate.optimizer import neutral_control
from aquila_jax.config import Config
from aquila_jax.core.signals import Decision, to_host
from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu import prior
from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.stream import Stream
from aquila_jax.evaluate import heldout
from aquila_jax.model.config import flops_per_token
from aquila_jax.train import feed, host, mentor, record, speed
from aquila_jax.train.host import HostState
from aquila_jax.train.progress import progress_line
from aquila_jax.train.state import Program, abstract_state, init_state
from aquila_jax.train.step import train_step
from aquila_jax.train.workdir import Workdir


class Run:
    """Everything of a run that is not a value: use as a context, under the mesh."""

    def __init__(self, config: Config, workdir: Path, *, report: Callable[[str], None]):
        self.config, self.report = config, report
        self.mesh = jax.sharding.get_mesh()
        self.folder = Workdir(workdir, config, writes=jax.process_index() == 0)
        self.store = open_store(config.data.store or str(workdir / "store"))
        self.stream = Stream(self.store, config.data.length, config.data.packing)
        self.languages = {info.name: info.language for info in self.store.manifest.train}
        self.program = Program(
            model=config.model,
            optimizer=config.optimizer,
            schedule=config.schedule,
            domains=len(self.languages),
        )
        self.checkpoints = checkpoint.Checkpoints(
            str(workdir.absolute() / "checkpoints"),
            keep=config.train.keep,
            keep_every=config.train.keep_every or None,
        )
        self.inflight = collections.deque()
        self.batches = None
        self.settled_at = None

    def __enter__(self) -> "Run":
        begun = time.time()
        restored = self.checkpoints.restore(
            abstract_state(self.program, self.mesh), report=self.report
        )
        if restored is None:
            self._start()
        else:
            self._resume(*restored)
        kind = "start" if restored is None else "resume"
        self.folder.event(kind, self.host.step, seconds=time.time() - begun, **self._machine())
        return self

    def __exit__(self, *_) -> None:
        faulthandler.cancel_dump_traceback_later()
        self.checkpoints.close()
        self.folder.close()

    @property
    def finished(self) -> bool:
        """Whether the plan's last sequence has been read."""
        return self.host.sequences >= self.config.schedule.total

    def due(self, period: int) -> bool:
        """Whether something that happens every `period` steps happens after this one."""
        return period > 0 and self.host.step % period == 0

    def dispatch(self) -> None:
        """Starts one step on the devices; does not wait for it."""
        train, step = self.config.train, self.host.step + 1
        batch = feed.put(self._next_batch(), self.mesh, train.batch // train.accumulate)
        control = jax.device_put(Control(*map(np.float32, self.host.control)))
        statistics = "heavy" if step % train.heavy_every == 0 else "light"
        self.state, signals = train_step(
            self.program, self.state, batch, control, statistics=statistics
        )
        self.inflight.append((step, self.host.control, signals))
        self.host = dataclasses.replace(
            self.host, step=step, sequences=self.host.sequences + train.batch
        )
        faulthandler.dump_traceback_later(train.stall_seconds, repeat=True)

    def settle(self, lag: int) -> None:
        """Reads the signals of all but the last `lag` steps, and does what follows from them."""
        while len(self.inflight) > lag:
            step, control, signals = self.inflight.popleft()
            signals = to_host(signals)
            self._write_metrics(step, control, signals)
            self._consider(step, signals)

    def save(self) -> None:
        """Starts writing a checkpoint of this step; nothing of it is taken for whole before it is."""
        begun = time.time()
        unread = [
            (step, control._asdict(), record.to_line(to_host(signals), control, self.languages))
            for step, control, signals in self.inflight
        ]
        where = host.to_json(self.host) | self.folder.counts() | {"inflight": unread}
        try:
            self.checkpoints.save(self.host.step, self.state, where)
        except checkpoint.CheckpointError as error:
            self.report(str(error))
        self._pause("save", begun)

    def evaluate(self) -> None:
        """Measures held-out text and questions; changes nothing."""
        begun = time.time()
        for line in evaluate(self.state.model, self.store, self.config):
            where = {"step": self.host.step, "tokens": self.host.targets}
            self.folder.evaluations.append(where | line)
            self.report(summary_line(line))
        self._pause("evaluate", begun)

    def finish(self) -> None:
        """Reads what is still in flight, evaluates, saves and waits for the disk."""
        if self.host.step in self.checkpoints.steps() and not self.inflight:
            return
        self.settle(0)
        if not self.due(self.config.train.evaluate_every):
            self.evaluate()
        self.checkpoints.discard_after(self.host.step - 1)
        self.save()
        self.checkpoints.wait()
        self.folder.event("finish", self.host.step)

    def _start(self) -> None:
        config = self.config
        self.state = init_state(self.program, jax.random.key(config.train.seed))
        weights = prior.mixture(config.data, self.stream.sizes, config.schedule.total)
        control = neutral_control(config.optimizer, config.schedule, config.train.z_loss)
        self.host = HostState(
            step=0,
            sequences=0,
            targets=0,
            timeline=0,
            ledger=ledgers.start(config.data.seed, self.stream.sizes, weights),
            control=control,
            mentor=mentor.start(config, self.languages),
        )
        self.folder.open_lines({})
        self.folder.journal.append(0, "start", name=config.name, domains=self.languages)
        self.folder.journal.append(0, "mixture", first_sequence=0, weights=weights)
        self.evaluate()

    def _resume(self, state, saved: dict) -> None:
        self.state, self.host = state, host.from_json(saved)
        self.checkpoints.discard_after(self.host.step)
        self.folder.open_lines(saved)
        for step, control, line in saved["inflight"]:
            signals = record.to_signals(line, tuple(self.languages))
            self.inflight.append((step, Control(**control), signals))
        self.report(f"resuming after step {self.host.step:,}")

    def _next_batch(self):
        train = self.config.train
        shape = (train.accumulate, train.batch // train.accumulate)
        if self.batches is None:
            left = -(-(self.config.schedule.total - self.host.sequences) // train.batch)
            rows = feed.local_rows(self.mesh, (*shape, self.config.data.length))
            self.batches = self.stream.batches(
                self.host.ledger, self.host.sequences, shape, rows, steps=left
            )
        return next(self.batches)

    def _write_metrics(self, step: int, control: Control, signals) -> None:
        line = record.to_line(signals, control, self.languages)
        targets = sum(line["domain_tokens"].values())
        self.host = dataclasses.replace(self.host, targets=self.host.targets + targets)
        batch, now = self.config.train.batch, time.time()
        line |= {"step": step, "tokens": self.host.targets, "sequences": step * batch}
        line |= {"batch": batch, "timeline": self.host.timeline, "time": now}
        if self.settled_at is not None:
            seconds = now - self.settled_at
            line |= {"step_seconds": seconds, "tokens_per_second": targets / seconds}
            line["mfu"] = speed.utilisation(targets / seconds, self.flops_per_token, self.peak)
        self.settled_at = now
        self.folder.metrics.append(line)
        if now - self.reported_at > self.config.train.report_seconds or self.finished:
            self.reported_at = now
            self.report(progress_line(line, total_sequences=self.config.schedule.total))

    def _consider(self, step: int, signals) -> None:
        if self.config.mentor.mode == "off":
            return
        state, entries, decision = mentor.consider(
            self.config, self.host.mentor, step, signals, control=self.host.control
        )
        self.host = dataclasses.replace(self.host, mentor=state)
        for entry in entries:
            self.folder.journal.append(step, **entry)
        if self.config.mentor.mode == "act":
            self._apply(decision)

    def _apply(self, decision: Decision) -> None:
        self.host = dataclasses.replace(self.host, control=decision.control)

    def _pause(self, kind: str, begun: float) -> None:
        """Notes a pause, which is no part of the speed of a step."""
        self.settled_at = None
        self.folder.event(kind, self.host.step, seconds=time.time() - begun)
