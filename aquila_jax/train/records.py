"""What a run tells of its steps: a line of metrics each, scalars, and a word to the person waiting."""

import time
from collections.abc import Callable

from aquila_jax.core import agree
from aquila_jax.core.journal import read_lines
from aquila_jax.core.signals import to_host
from aquila_jax.model.config import flops_per_token
from aquila_jax.report import writers
from aquila_jax.train import record, speed
from aquila_jax.train.attribute import Shown
from aquila_jax.train.clock import Clock
from aquila_jax.train.cycle import InFlight
from aquila_jax.train.host import HostState
from aquila_jax.train.progress import progress_line
from aquila_jax.train.workdir import Workdir
from aquila_jax.tsm import pace


class Records:
    """The clock, and the files that grow with every step."""

    def __init__(
        self, folder: Workdir, languages: Callable[[], dict[str, str]], *, report: Callable
    ):
        self.folder, self.languages, self.report = folder, languages, report
        config = folder.config
        self.flops_per_token = flops_per_token(config.model, config.data.length)
        self.peak = speed.peak_flops()
        self.clock, self.reported_at = Clock(), 0.0
        self.pace = pace.start()
        names = config.train.writers if folder.writes else ()
        self.write_scalars = writers.open_writers(names, folder.path)

    def line(self, done: InFlight) -> dict:
        """What the signals of a step say, without the clock; `record.to_signals` reads it back."""
        line = record.to_line(to_host(done.signals), done.control, self.languages())
        read = {"sequences": done.sequences, "batch": done.batch}
        return {"step": done.step} | read | {"micro_batches": done.micro_batches} | line

    def add(self, done: InFlight, host: HostState) -> None:
        """One finished step, whose targets `host` has counted."""
        line, now = self.line(done), time.time()
        targets = sum(line["domain_tokens"].values())
        line |= {"tokens": host.targets, "timeline": host.timeline, "time": now}
        if (seconds := self.clock.ended(done.step, time.monotonic())) is not None:
            line |= {"step_seconds": seconds, "tokens_per_second": targets / seconds}
            if self.peak is not None:
                line["mfu"] = speed.utilisation(targets / seconds, self.flops_per_token, self.peak)
            self._pace(done.step, seconds)
        self.folder.metrics.append(line)
        self.write_scalars(done.step, now, writers.flat(line))
        if now - self.reported_at > self.folder.config.train.report_seconds:
            self.reported_at = now
            self.report(progress_line(line, total_sequences=self.folder.config.schedule.total))

    def _pace(self, step: int, seconds: float) -> None:
        """By the clock of this process, so told as an event and to nobody who decides."""
        self.pace, alarm = pace.observe(self.pace, step, seconds)
        if alarm is not None:
            self.folder.event("slow", step, why=alarm.cause, **alarm.evidence)

    def shown(self, step: int) -> Shown | None:
        """What a step showed when it was last run; every process must ask."""
        found = None
        if self.folder.writes:
            lines = read_lines(self.folder.path / "metrics.jsonl")
            own = (line for line in reversed(lines) if line["step"] == step)
            line = next(own, None)
            found = line and [line["loss"], line["grad_norm"]]
        found = agree.told(found)
        return found and Shown(*found)

    def evaluation(self, line: dict) -> None:
        """One result of an evaluation, with step and tokens."""
        self.folder.evaluations.append(line)
        told = {key: value for key, value in line.items() if key not in ("step", "tokens")}
        self.write_scalars(line["step"], time.time(), writers.flat({"evaluate": told}))

    def pause(self, kind: str, step: int, begun: float) -> None:
        """Notes a pause after `step` since `begun` (monotonic), when all steps so far were done."""
        now = time.monotonic()
        # The step that is compiled starts in the same call, and may even be over when it returns.
        self.clock.paused(step, begun, None if kind == "compile" else now)
        self.folder.event(kind, step, seconds=now - begun)
