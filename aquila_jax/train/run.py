"""One run at work: the devices' state, the host's state, and the files, kept in step."""

import collections
import dataclasses
import faulthandler
import json
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from aquila_jax import checkpoint
from aquila_jax.ate.optimizer import neutral_control
from aquila_jax.config import Config, located
from aquila_jax.core import feed
from aquila_jax.core.signals import Control, Decision, Signals, to_host
from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu import prior
from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.stream import Stream
from aquila_jax.evaluate import suite
from aquila_jax.model.config import flops_per_token
from aquila_jax.report import writers
from aquila_jax.train import host, mentor, record, speed
from aquila_jax.train.host import HostState
from aquila_jax.train.mentor import Mentor
from aquila_jax.train.progress import progress_line
from aquila_jax.train.state import Program, abstract_state, init_state
from aquila_jax.train.step import train_step
from aquila_jax.train.workdir import Workdir
from aquila_jax.tsm import band
from aquila_jax.tsm.context import Context


class InFlight(NamedTuple):
    """A step that was started and whose signals nobody has read yet."""

    step: int
    sequences: int  # read when it was done
    control: Control
    signals: Signals


class Run:
    """Everything of a run that is not a value: use as a context, under the mesh."""

    def __init__(self, config: Config, workdir: Path, *, report: Callable[[str], None]):
        self.report, self.mesh = report, jax.sharding.get_mesh()
        self.folder = Workdir(workdir, config, writes=jax.process_index() == 0)
        self.config = config = located(config, workdir)
        self.store = open_store(config.data.store)
        self.stream = Stream(self.store, config.data.length, config.data.packing)
        self.languages = {info.name: info.language for info in self.store.manifest.train}
        self.mentor = Mentor(config, self.languages, _calibrations())
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
        self.flops_per_token = flops_per_token(config.model, config.data.length)
        self.peak = speed.peak_flops()
        self.settled_at, self.reported_at = None, 0.0
        names = config.train.writers if self.folder.writes else ()
        self.write_scalars = writers.open_writers(names, workdir)

    def __enter__(self) -> "Run":
        begun = time.time()
        _require_vocabulary(self.config, self.store)
        like = abstract_state(self.program, self.mesh)
        restored = self.checkpoints.restore(like, report=self.report)
        if restored is None:
            self._start()
        else:
            self._resume(*restored)
        kind = "start" if restored is None else "resume"
        self.folder.event(kind, self.host.step, seconds=time.time() - begun, **speed.machine())
        if restored is None:
            self.evaluate()
        return self

    def __exit__(self, *_) -> None:
        faulthandler.cancel_dump_traceback_later()
        self._drop_batches()
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
        sequences = self.host.sequences + train.batch
        self.inflight.append(InFlight(step, sequences, self.host.control, signals))
        self.host = dataclasses.replace(self.host, step=step, sequences=sequences)
        faulthandler.dump_traceback_later(train.stall_seconds, repeat=True)

    def settle(self, lag: int) -> None:
        """Reads the signals of all but the last `lag` steps, and does what follows from them."""
        while len(self.inflight) > lag:
            done = self.inflight.popleft()
            done = done._replace(signals=to_host(done.signals))
            line = self._write_metrics(done)
            if self.config.mentor.mode != "off":
                self._consider(done, line)

    def save(self) -> None:
        """Starts writing a checkpoint of this step; what fails is told, and tried at the next."""
        begun = time.time()
        unread = [
            (done.step, done.sequences, done.control._asdict(), self._line(done))
            for done in self.inflight
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
        config, where = self.config, {"step": self.host.step, "tokens": self.host.targets}
        for line in suite.evaluate(
            config.evaluate, self.state.model, self.store, length=config.data.length
        ):
            self.folder.evaluations.append(where | line)
            self.write_scalars(self.host.step, begun, writers.flat({"evaluate": line}))
            self.report(suite.in_words(line))
        self._pause("evaluate", begun)

    def finish(self) -> None:
        """Reads what is still in flight, evaluates, saves, and waits for the disk."""
        if self.host.step in self.checkpoints.steps() and not self.inflight:
            return
        self.settle(0)
        if not self.due(self.config.train.evaluate_every):
            self.evaluate()
        self.checkpoints.wait()
        self.checkpoints.discard_after(self.host.step - 1)
        self.save()
        self.checkpoints.wait()
        self.folder.event("finish", self.host.step)

    def _start(self) -> None:
        config = self.config
        self.state = init_state(self.program, jax.random.key(config.train.seed))
        control = neutral_control(config.optimizer, config.schedule, config.train.z_loss)
        sizes = self.stream.sizes
        weights = prior.mixture(
            config.data.mixture, config.data.weights, sizes, config.schedule.total
        )
        self.host = HostState(
            step=0,
            sequences=0,
            targets=0,
            timeline=0,
            ledger=ledgers.start(config.data.seed, sizes, weights),
            weights=weights,
            control=control,
            mentor=mentor.start(self.mentor, control),
        )
        self.folder.open_lines({})
        self.folder.journal.append(0, "start", name=config.name, domains=self.languages)
        self.folder.journal.append(0, "mixture", first_sequence=0, weights=weights)

    def _resume(self, state, saved: dict) -> None:
        self.state, self.host = state, host.from_json(saved)
        self.checkpoints.discard_after(self.host.step)
        self.folder.open_lines(saved)
        for step, sequences, control, line in saved["inflight"]:
            signals = record.to_signals(line, tuple(self.languages))
            self.inflight.append(InFlight(step, sequences, Control(**control), signals))
        self.report(f"going on after step {self.host.step:,}")

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

    def _drop_batches(self) -> None:
        if self.batches is not None:
            self.batches.close()
            self.batches = None

    def _line(self, done: InFlight) -> dict:
        line = record.to_line(to_host(done.signals), done.control, self.languages)
        return {"step": done.step, "sequences": done.sequences} | line

    def _write_metrics(self, done: InFlight) -> dict:
        line, now = self._line(done), time.time()
        targets = sum(line["domain_tokens"].values())
        self.host = dataclasses.replace(self.host, targets=self.host.targets + targets)
        line |= {"tokens": self.host.targets, "batch": self.config.train.batch, "time": now}
        line["timeline"] = self.host.timeline
        if self.settled_at is not None:
            seconds = max(now - self.settled_at, 1e-9)
            line |= {"step_seconds": seconds, "tokens_per_second": targets / seconds}
            line["mfu"] = speed.utilisation(targets / seconds, self.flops_per_token, self.peak)
        self.settled_at = now
        self.folder.metrics.append(line)
        self.write_scalars(done.step, now, writers.flat(line))
        if now - self.reported_at > self.config.train.report_seconds:
            self.reported_at = now
            self.report(progress_line(line, total_sequences=self.config.schedule.total))
        return line

    def _consider(self, done: InFlight, line: dict) -> None:
        train = self.config.train
        context = Context(
            step=done.step,
            tokens=line["tokens"],
            batch=train.batch,
            micro_batches=train.accumulate,
            progress=done.sequences / self.config.schedule.total,
            weights=self.host.weights,
        )
        state, lines, decision = mentor.consider(
            self.mentor,
            self.host.mentor,
            done.signals,
            control=self.host.control,
            context=context,
        )
        self.host = dataclasses.replace(self.host, mentor=state)
        for entry in lines:
            self.folder.journal.append(done.step, **entry)
        if self.config.mentor.mode == "act":
            self._apply(decision)

    def _apply(self, decision: Decision) -> None:
        self.host = dataclasses.replace(self.host, control=decision.control)

    def _pause(self, kind: str, begun: float) -> None:
        """Notes a pause, which is no part of the speed of a step."""
        self.settled_at = None
        self.folder.event(kind, self.host.step, seconds=time.time() - begun)


def _calibrations() -> dict[str, band.Calibration]:
    file = resources.files("aquila_jax.tsm") / "calibration.json"
    return band.from_json(json.loads(file.read_text(encoding="utf-8")))


def _require_vocabulary(config: Config, store) -> None:
    if config.model.vocab != store.manifest.vocab_size:
        raise ValueError(
            f"model.vocab={config.model.vocab} must be the {store.manifest.vocab_size} entries of "
            f"the tokenizer in {store.path}."
        )
