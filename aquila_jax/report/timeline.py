"""What happened, what was decided and why: journal and events as one list for a reader."""

import numpy as np

from aquila_jax.report import columns, records, words
from aquila_jax.report.read import Run
from aquila_jax.report.words import Text

JOURNAL_KINDS = ("decision", "alarm", "steer", "phase", "mixture", "rewind", "unreached", "verify",
                 "branch", "disabled")  # fmt: skip
BEGIN_KINDS = ("start",)
EVENT_KINDS = ("resume", "stop", "finish", "failed", "stall", "slow", "refused")
EVIDENCE_ROWS = 60
NAMED = 5  # documents of a list


def entries(run: Run, number: int) -> list[dict]:
    """The entries of run `number`, latest first: step, kind, what, why, evidence, outcome."""
    steps = records.steps_that_count(run)
    shares = previous_weights(run.journal)
    journal = [
        entry_of(entry, steps, shares[i]) | {"id": f"run-{number}-journal-{i}", "run": number}
        for i, entry in enumerate(run.journal)
        if entry["kind"] in JOURNAL_KINDS
    ]
    begun, over = (
        [
            event_of(event) | {"id": f"run-{number}-event-{i}", "run": number}
            for i, event in enumerate(run.events)
            if event["kind"] in kinds
        ]
        for kinds in (BEGIN_KINDS, EVENT_KINDS)
    )
    # Within a step in the order of the journal, after the start and before other events.
    return sorted([*begun, *journal, *over], key=lambda entry: entry["step"])[::-1]


def entry_of(entry: dict, steps: columns.Columns, shares: dict) -> dict:
    """A journal entry as a row of the time line."""
    kind = entry["kind"]
    cause, remedy = words.advice(records.inner(entry, "alarm"))
    said = both(entry.get("why", ""))
    if entry.get("rule") and not entry.get("why"):
        said = words.name("rule", str(entry["rule"]))
    effective = records.whole(entry.get("effective_step"), entry["step"])
    return {
        "step": entry["step"],
        "kind": kind,
        "what": what(entry, shares),
        "why": cause if kind == "alarm" else said,
        "todo": remedy,
        "author": str(entry.get("author", "mentor")),
        "mode": str(entry.get("mode", "")),
        "evidence": evidence(entry),
        "outcome": outcome(entry, effective, steps),
        "time": None,
    }


def event_of(event: dict) -> dict:
    """An event of the machine as a row of the time line."""
    kept = {key: value for key, value in event.items() if key not in {"time", "kind", "step"}}
    row = {"step": event["step"] if "step" in event else 0, "kind": "event"}
    row |= happened(event)
    row |= {"author": "", "mode": "", "outcome": both("")}
    return row | {"evidence": flat(kept)[:EVIDENCE_ROWS], "time": event.get("time")}


def happened(event: dict) -> dict:
    """What, why and the remedy of an event."""
    kind, why = str(event["kind"]), str(event.get("why", ""))
    if kind == "stop":
        return {"what": words.stopped(why), "why": both(""), "todo": both("")}
    alarm = {"kind": "slow_host", "cause": why, "evidence": event} if kind == "slow" else {}
    cause, remedy = words.advice({"cause": why} | alarm)
    return {"what": words.name("event", kind), "why": cause, "todo": remedy}


def what(entry: dict, shares: dict) -> Text:
    """One line that says what an entry changes or reports."""
    kind = entry["kind"]
    if kind == "alarm":
        alarm = records.inner(entry, "alarm")
        sure = words.percent(records.number(alarm.get("confidence")))
        return words.say("what.alarm", kind=words.name("alarm", str(alarm.get("kind"))), sure=sure)
    if kind == "phase":
        return words.say("what.phase", name=entry.get("name", "?"))
    if kind == "unreached":
        return words.say("what.unreached", step=words.number(entry.get("to_step", "?")))
    if kind == "rewind":
        return rewound(entry)
    if kind in {"verify", "branch", "disabled"}:
        return ruled(entry)
    parts = [change(name, value) for name, value in records.inner(entry, "control").items()]
    if records.inner(entry, "weights"):
        parts.append(mixture(records.inner(entry, "weights"), shares))
    if entry.get("exclude"):
        parts.append(words.say("what.exclude", ranges=ranges(entry["exclude"])))
    if entry.get("documents"):
        parts.append(words.say("what.documents", names=documents(entry["documents"])))
    if records.inner(entry, "request"):
        parts.append(request(records.inner(entry, "request")))
    return words.listed(parts) if parts else words.name("what", kind)


def ruled(entry: dict) -> Text:
    """What became of a rule's action, of its trial, or of the rule."""
    rule = words.name("rule", str(entry.get("rule")))
    told = {"rule": rule, "verdict": words.name("verdict", str(entry.get("verdict")))}
    if entry["kind"] == "branch":
        sizes = entry.get("batch")
        old, new = sizes if isinstance(sizes, list) and len(sizes) == 2 else ("?", "?")
        return words.say("what.branch", old=old, new=new, **told)
    step = words.number(entry.get("action_step", entry["step"]))
    return words.say(f"what.{entry['kind']}", step=step, **told)


def rewound(entry: dict) -> Text:
    """Where to, and what the suspect step showed when it was done once more."""
    step, found = words.number(entry.get("to_step", "?")), records.inner(entry, "evidence")
    if "verdict" not in found:
        return words.say("what.rewind", step=step)
    told = {"suspect": words.number(found.get("suspect_step", "?"))}
    told |= {"found": words.name("attributed", str(found["verdict"]))}
    return words.say("what.rewind_attributed", step=step, **told)


def ranges(excluded: object) -> str:
    """Ranges of sequences as first–last."""
    spans = excluded if isinstance(excluded, list) else [excluded]
    return ", ".join(
        "–".join(map(words.number, span)) if isinstance(span, list) else words.number(span)
        for span in spans
    )


def documents(left_out: object) -> str:
    """The first few as DOMAIN:NUMBER, and how many there are."""
    given = left_out if isinstance(left_out, list) else [left_out]
    names = [":".join(map(str, one)) if isinstance(one, list) else str(one) for one in given]
    more = f" … ({words.number(len(names))})" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def change(name: str, value: object) -> Text:
    """`learning rate 1 → 0.7` for a changed field of Control."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list) and len(value) == 2:
        return words.say("what.change", name=words.name("control", name),
                         old=words.number(value[0]), new=words.number(value[1]))  # fmt: skip
    return words.say("what.set", name=words.name("control", name), new=words.number(value))


def mixture(weights: dict, before: dict) -> Text:
    """The three largest moves of a mixture, or its three largest parts if it is the first."""
    weights = {name: records.number(share) for name, share in weights.items()}
    moved = {name: share - records.number(before.get(name, 0.0)) for name, share in weights.items()}
    first = sorted(moved, key=lambda name: -abs(moved[name]))[:3]
    if max(map(abs, moved.values()), default=0.0) < 0.005:
        first, before = sorted(weights, key=lambda name: -weights[name])[:3], {}
    arrow = {
        name: f"{words.percent(records.number(before[name]))} → " if name in before else ""
        for name in first
    }
    listed = [both(f"{name} {arrow[name]}{words.percent(weights[name])}") for name in first]
    return words.say("what.mixture", parts=words.listed(listed))


def request(value: dict) -> Text:
    """A structural change in words, such as a rewind to a step."""
    arguments = value.get("arguments") or {}
    kind = words.name("request", str(value.get("kind")))
    if not isinstance(arguments, dict) or not arguments or arguments.keys() == {"why"}:
        return kind  # the rule beside it says why, in the reader's language
    if arguments.keys() >= {"to_step", "exclude"}:
        left = ranges([arguments["exclude"]])
        step = words.number(arguments["to_step"])
        return words.say("what.rewind_request", kind=kind, step=step, ranges=left)
    pairs = [f"{key.replace('_', ' ')} {words.number(inner)}" for key, inner in arguments.items()]
    return words.say("what.request", kind=kind, arguments=", ".join(pairs))


def previous_weights(journal: tuple[dict, ...]) -> list[dict]:
    """For each entry the mixture that was in force before it."""
    seen, force = [], {}
    for entry in journal:
        seen.append(force)
        if entry.get("kind") == "mixture" and records.inner(entry, "weights"):
            force = records.inner(entry, "weights")
    return seen


def evidence(entry: dict) -> list[list[str]]:
    """Name and value of all that stands behind an entry."""
    told = records.inner(entry, "alarm") or entry
    rows = flat(records.inner(told, "evidence"))
    rows += [[f"predicted: {key}", value] for key, value in flat(records.inner(entry, "predict"))]
    return rows[:EVIDENCE_ROWS]


def flat(value: dict, above: str = "") -> list[list[str]]:
    """Nested names with dots, values as a reader wants them."""
    rows = []
    for key, inside in value.items():
        name = f"{above}{str(key).replace('_', ' ')}"
        deeper = isinstance(inside, dict) and inside
        rows += flat(inside, f"{name} · ") if deeper else [[name, words.number(inside)]]
    return rows


def outcome(entry: dict, step: int, steps: columns.Columns) -> Text:
    """What the loss did after a decision or an alarm, measured and not claimed."""
    if entry.get("mode") == "shadow":
        return words.say("outcome.shadow")
    if entry["kind"] not in {"decision", "alarm", "rewind", "mixture", "steer"}:
        return both("")
    at = int(np.searchsorted(steps["step"], step))
    before, after = steps["loss"][max(at - 50, 0) : at], steps["loss"][at + 50 : at + 100]
    old, new = columns.typical(before), columns.typical(after)
    if at + 100 > steps.size or np.isnan(new):
        return words.say("outcome.early")
    if np.isnan(old):
        return both("")
    return words.say("outcome.loss", old=words.loss(old), new=words.loss(new))


def both(value: object) -> Text:
    """Words that are the same in every language."""
    return dict.fromkeys(words.LANGUAGES, str(value))
