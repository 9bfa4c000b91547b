"""What the trials and healthy runs of the detector study come to."""

import collections
import json
import pathlib
import statistics
from collections.abc import Iterator

from aquila_jax.core.journal import read_lines
from aquila_jax.tsm import detect, peers
from aquila_jax.tsm.detect import DetectorSettings, Reading
from aquila_jax.tsm.peers import PeerSettings

MOVED = 1.05  # times the loss of the same step without the fault
RULES = {"our spike rule": (detect, DetectorSettings()), "peers' rule": (peers, PeerSettings())}
ALL = "all our alarms"


def flagged(rule, settings, steps: list[dict]) -> list[int]:
    """The steps that a spike rule flags, beginning from nothing."""
    state, found = rule.start(), []
    for line in steps:
        skipped = bool(line.get("skipped", 0.0))
        reading = Reading(line["step"], line["loss"], line["grad_norm"], skipped)
        state, verdict = rule.observe(settings, state, reading)
        found += [line["step"]] * verdict.spike
    return found


def trial(told: dict, clean: dict) -> dict:
    """Steps from the fault to each rule's first sign, and to the loss moving; None: never."""
    first, place = told["first"], told["place"]
    usual = {line["step"]: line for line in clean["steps"]}
    before = clean["past"] + [usual[step] for step in range(place + 1, told["steps"][0]["step"])]
    moved = [x["step"] for x in told["steps"] if not x["loss"] <= MOVED * usual[x["step"]]["loss"]]
    signs = {ALL: [x["step"] for x in told["steps"]
                   if set(x["alarms"]) - set(usual[x["step"]]["alarms"])]}  # fmt: skip
    for name, (rule, settings) in RULES.items():
        expected = flagged(rule, settings, clean["past"] + clean["steps"])
        signs[name] = sorted(set(flagged(rule, settings, before + told["steps"])) - set(expected))
    found = {name: [step for step in steps if step >= first] for name, steps in signs.items()}
    delay = {name: min(steps) - first if steps else None for name, steps in found.items()}
    late = [step - first for step in moved if step >= first]
    kinds = collections.Counter(kind for x in told["steps"] if x["step"] >= first
                                for kind in set(x["alarms"]) - set(usual[x["step"]]["alarms"]))  # fmt: skip
    return {"delay": delay, "moved": min(late) if late else None, "alarms": sorted(kinds)}


def measure(trials: dict, runs: pathlib.Path) -> dict:
    """Every trial, and false alarms of the healthy runs of each half."""
    found = {}
    for name, told in trials.items():
        if not name.startswith("none/"):
            clean = next(t for t in trials.values() if "past" in t and t["place"] == told["place"])
            found[name] = trial(told, clean)
    return {"trials": found, "healthy": [run for half in (0, 1) for run in healthy(runs, half)]}


def healthy(runs: pathlib.Path, half: int) -> Iterator[dict]:
    """False alarms of each finished run: every flag is one, as nothing was planted."""
    for folder in sorted(path.parent for path in runs.glob("*/summary.json")):
        if int(folder.name[:2]) % 2 == half:
            steps = read_lines(folder / "metrics.jsonl")
            counts = {name: len(flagged(*rule, steps)) for name, rule in RULES.items()}
            journal = read_lines(folder / "journal.jsonl")
            kinds = collections.Counter(x["alarm"]["kind"] for x in journal if x["kind"] == "alarm")
            told = {"run": folder.name, "half": ("tune", "test")[half], "steps": len(steps)}
            yield told | {"flags": counts, "alarms": dict(kinds)}


def markdown(told: dict) -> Iterator[str]:
    """Recall, delay and lead for each fault; false alarms for each rule."""
    names = [ALL, *RULES]
    yield (
        "| fault | trials | "
        + " | ".join(f"{n}: found, delay" for n in names)
        + " | loss moved | lead |"
    )
    yield "|---" * (len(names) + 4) + "|"
    kinds = dict.fromkeys(name.split("/")[0] for name in told["trials"])
    for kind in kinds:
        rows = [t for name, t in told["trials"].items() if name.split("/")[0] == kind]
        cells = [_found([row["delay"][name] for row in rows]) for name in names]
        yield f"| {kind} | {len(rows)} | {' | '.join(cells)} | {_found([r['moved'] for r in rows])} | {_lead(rows)} |"
    for half in ("tune", "test"):
        runs = [run for run in told["healthy"] if run["half"] == half]
        steps = sum(run["steps"] for run in runs)
        for name in RULES:
            count = sum(run["flags"][name] for run in runs)
            yield f"{half}: {name} flags {count} of {steps} healthy steps, {1e4 * count / steps:.1f} per 10,000"
        kinds = sum((collections.Counter(run["alarms"]) for run in runs), collections.Counter())
        yield f"{half}: alarms per 10,000 steps: " + json.dumps(
            {kind: round(1e4 * count / steps, 1) for kind, count in kinds.most_common()}
        )


def _found(delays: list[int | None]) -> str:
    known = [delay for delay in delays if delay is not None]
    middle = f", {statistics.median(known):g} ({max(known)})" if known else ""
    return f"{len(known)}{middle}"


def _lead(rows: list[dict]) -> str:
    """Steps from the first alarm to the loss moving, median and range."""
    known = [row["moved"] - row["delay"][ALL] for row in rows
             if None not in (row["moved"], row["delay"][ALL])]  # fmt: skip
    return f"{statistics.median(known):g} ({min(known)} to {max(known)})" if known else "-"
