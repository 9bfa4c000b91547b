"""Every decision of a run once more, from its records alone, compared bit for bit.

What a person asked for and what a repeated step showed cannot be computed again: such lines are
taken from the journal, whose chain of hashes shows if they were edited.
"""

import collections
import json
from pathlib import Path
from typing import NamedTuple

from aquila_jax.config import Config
from aquila_jax.core.journal import Journal, canonical, read_journal, read_lines
from aquila_jax.core.signals import Control, Decision
from aquila_jax.train import cycle, look, newcomers, orders, phases, pilot, record, rewind
from aquila_jax.train import host as hosts
from aquila_jax.train.cycle import InFlight, Machine, Moment
from aquila_jax.train.machinery import calibrations
from aquila_jax.train.mentor import Mentor


class Differs(ValueError):
    """The records do not follow from each other."""


class Told(NamedTuple):
    """How much was compared."""

    steps: int
    lines: int
    decisions: int


def replay(workdir: Path) -> Told:
    """Compares; raises `Differs` at the first line that is not what it should be."""
    file = workdir / "journal.jsonl"
    recorded, metrics = read_journal(file), read_lines(workdir / "metrics.jsonl")
    evaluations = read_lines(workdir / "evaluations.jsonl")
    if not recorded:
        raise ValueError(f"{file} is missing or empty; --workdir must name the folder of a run.")
    config = look.read_config(workdir)
    again = Again(config, recorded, metrics, evaluations=evaluations)
    for number, line in enumerate(metrics, 1):
        where = f"line {number} of {workdir / 'metrics.jsonl'}"
        try:
            again.step(line, where)
        except KeyError as error:
            raise Differs(
                f"{where} needs {error}, which is missing there: the file was edited, or is not "
                "of this version."
            ) from error
    again.evaluation()
    again.person()
    if again.journal.count < len(recorded):
        raise Differs(
            f"line {again.journal.count + 1} of {file} ({recorded[again.journal.count]['kind']}) "
            "does not follow from the steps in metrics.jsonl."
        )
    decisions = sum(line["kind"] == "decision" for line in recorded)
    return Told(len(metrics), len(recorded), decisions)


class Again:
    """A run without devices: where it stands, and the journal as it should be."""

    def __init__(
        self,
        config: Config,
        recorded: list[dict],
        metrics: list[dict],
        *,
        evaluations: list[dict],
    ):
        self.config, self.recorded = config, recorded
        self.shown = {(line["timeline"], line["step"]): line for line in metrics}
        start = recorded[0]
        mentor = Mentor(config, start["domains"], calibrations())
        self.machine = Machine(config=config, mesh=None, program=None, stream=None, mentor=mentor)
        self.host = hosts.start(config, mentor, start["sizes"])
        self.inflight, self.evaluations = collections.deque(), collections.deque(evaluations)
        self.moments: dict[tuple[int, int], Moment] = {}
        self.wanted = {line["to_step"] for line in recorded if line["kind"] == "rewind"}
        self.journal = Journal(None)
        self._compare(0, [_content(start), *phases.opening(config, self.host)])
        if pilot.asked(config.mentor):
            self.host, lines = pilot.begun(config, self.host, self._shown("probe"))
            self._compare(0, lines)
        self._remember()

    def step(self, line: dict, where: str) -> None:
        """One line of metrics: the step is dispatched and learned from, as the run did."""
        self._dispatch_for(line)
        if line["timeline"] < self.host.timeline:  # was in flight when the run went back
            return
        if not self.inflight:
            raise Differs(f"{where} has step {line['step']}, which the run did not start.")
        done = self._read(self.inflight.popleft(), self.host.timeline)
        logged = Control(**{name: line[name] for name in Control._fields})
        self.host = cycle.count(self.host, done)
        decided = (done.step, self.host.targets, done.control)
        if decided != (line["step"], line["tokens"], logged):
            raise Differs(
                f"{where} has step {line['step']} with {line['tokens']} tokens under {logged}, but "
                f"what follows is step {done.step} with {self.host.targets} under {done.control}."
            )
        self.host, lines, decision = cycle.learn(self.machine, self.host, done)
        self._compare(done.step, lines)
        if decision is not None:
            self._follow(decision)

    def person(self) -> None:
        """Orders that were taken where the run stands."""
        while entry := self._next():
            if entry["kind"] != "steer" or entry["step"] != self.host.step:
                return
            order = _order(entry)
            self.host, lines = orders.apply(self.host, order)
            self._widen(newcomers.languages(order.get("add_source")))
            self._compare(self.host.step, lines)
            self._follow(orders.decision(self.host, order))

    def _widen(self, new: dict[str, str]) -> None:
        """Domains that join are known to the mentor from here on."""
        mentor = self.machine.mentor
        mentor = mentor._replace(languages=mentor.languages | new)
        self.machine = self.machine._replace(mentor=mentor)

    def evaluation(self) -> None:
        """The evaluation that was made where the run stands, if there was one."""
        told, kinds = [], set()
        while self.evaluations and self.evaluations[0]["step"] == self.host.step:
            kind = self.evaluations[0]["kind"], self.evaluations[0].get("file")
            if kind in kinds:  # that of the same step after a rewind
                break
            kinds.add(kind)
            told.append(self.evaluations.popleft())
        if told:
            self.host, lines = cycle.judge(self.machine, self.host, told)
            self._compare(self.host.step, lines)

    def _dispatch_for(self, line: dict) -> None:
        """Goes on until the run read these signals: `lag` steps later, at the end, or never."""
        until = line["step"] + self.config.train.lag
        while line["timeline"] == self.host.timeline and self.host.step < until:
            all_read = self.host.sequences >= self.config.schedule.total
            if not all_read:  # the run learns from its last steps before it evaluates there
                self.evaluation()
            self.person()
            if all_read or line["timeline"] != self.host.timeline:
                return
            self.host, lines = phases.advance(self.config, self.host)
            self._compare(self.host.step, lines)
            before, self.host = self.host, hosts.dispatched(self.host)
            after = self.host
            self.inflight.append(
                InFlight(after.step, after.sequences, before.batch, 0, before.control, None)
            )
            self._remember()

    def _remember(self) -> None:
        if self.host.step in self.wanted:
            self.moments[self.host.step] = Moment(None, self.host, tuple(self.inflight))

    def _follow(self, decision: Decision) -> None:
        if pilot.wanted(decision):
            self.host, lines = pilot.branched(self.host, decision, self._shown("grow_batch"))
            self._compare(self.host.step, lines)
        if decision.request is None or decision.request.kind != "rewind":
            return
        entry = self._next() or {}
        if entry.get("kind") == "unreached":  # why, nobody can compute again
            self._compare(decision.step, [rewind.unreached(decision, entry["why"])])
            return
        while self.inflight:
            done = self._read(self.inflight.popleft(), self.host.timeline)
            self.host = cycle.count(self.host, done)
        moment = self.moments[decision.request.arguments["to_step"]]
        read = tuple(self._read(done, moment.host.timeline) for done in moment.inflight)
        then = cycle.settled(self.machine, moment._replace(inflight=read))
        evidence = entry.get("evidence")
        left = self.host.step
        self.host, more = hosts.back(self.host, then, decision)
        self.moments[self.host.step] = Moment(None, self.host, ())
        line = rewind.told(self.host, decision, left=left, evidence=evidence)
        self._compare(decision.step, [line, *more])

    def _shown(self, rule: str) -> dict:
        """What trials for a rule showed, by the next line of the journal."""
        entry = self._next()
        if entry is None or entry.get("rule") != rule:
            raise Differs(
                f"line {self.journal.count + 1} of journal.jsonl is {_short(entry)}, but what "
                f"follows from the steps is what the trials of {rule} showed."
            )
        return entry["evidence"]

    def _next(self) -> dict | None:
        """The line that the run wrote where the journal stands; None after its last."""
        number = self.journal.count
        return self.recorded[number] if number < len(self.recorded) else None

    def _read(self, done: InFlight, timeline: int) -> InFlight:
        line = self.shown[timeline, done.step]
        signals = record.to_signals(line, tuple(self.machine.mentor.languages))
        return done._replace(micro_batches=line["micro_batches"], signals=signals)

    def _compare(self, step: int, lines: list[dict]) -> None:
        for line in lines:
            found, number = self._next(), self.journal.count + 1
            made = self.journal.append(step, **line)
            if canonical(made) != canonical(found):
                raise Differs(
                    f"line {number} of journal.jsonl is {_short(found)}, but what follows "
                    f"from the steps is {_short(made)}."
                )


def _content(entry: dict) -> dict:
    return {key: value for key, value in entry.items() if key not in ("seq", "step", "hash")}


def _order(entry: dict) -> dict:
    """What a person asked for, from the line about it."""
    control = {name: after for name, (_, after) in entry["control"].items()}
    kept = {key: entry[key] for key in ("author", "why", "exclude", "request")}
    kept |= {key: entry[key] for key in ("add_source", "documents", "content") if key in entry}
    return kept | {"control": control, "weights": entry["weights"] or {}}


def _short(entry: dict | None) -> str:
    return "missing" if entry is None else json.dumps(entry, ensure_ascii=False)[:300]
