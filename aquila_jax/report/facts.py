"""What a run is, how each domain does, and what is missing from its records."""

import math

import numpy as np

from aquila_jax.report import columns, goodput, read, records, timeline, words
from aquila_jax.report.read import Run
from aquila_jax.report.words import Text

# The values of the first rows, by the key that is looked for at any depth of the files of the run.
NAMED = {
    "parameters": "parameters",
    "git": "git",
    "device": "device_kind",
    "devices": "devices",
}


def facts(run: Run) -> list[list]:
    """Label and value of what a reader asks first."""
    steps = records.steps_that_count(run)
    sources = [*run.events[:1], run.summary, *run.journal[:1], run.config]
    rows = [["path", words.path(run.path)]]
    if run.events and goodput.seconds(run.events[0], "time"):
        rows.append(["begun", words.date(run.events[0]["time"])])
    for label, key in NAMED.items():
        found = (find(source, key) for source in sources)
        value = next((value for value in found if value is not None), None)
        if value is not None:
            rows.append([label, words.number(value)])
    if steps.size:
        rows.append(["steps", words.count(records.last_step(steps))])
        rows.append(["tokens", words.count(steps["tokens"][-1])])
        rows.append(["sequences", words.count(steps["sequences"][-1])])
    rows.append(["resumes", str(sum(event["kind"] == "resume" for event in run.events))])
    return [[words.say(f"fact.{label}"), value] for label, value in rows]


def find(value: object, key: str) -> object:
    """The first value under `key` at any depth; None if there is none."""
    if not isinstance(value, dict):
        return None
    if key in value:
        return value[key]
    deeper = (find(inner, key) for inner in value.values())
    return next((found for found in deeper if found is not None), None)


def domains(run: Run) -> list[dict]:
    """A row for each language and domain: share, loss, held-out bits per byte and their falls."""
    steps = records.steps_that_count(run)
    return _rows(run, steps, "languages") + _rows(run, steps, "domains")


def _rows(run: Run, steps: columns.Columns, group: str) -> list[dict]:
    key = records.GROUPS[group]
    curves, falls = records.heldout(run, group), records.falls(run, group)
    tokens, recent, lately = {}, {}, {}
    language_of = records.language_of(run)
    for domain in steps.inner("domain_tokens"):
        column = steps[f"domain_tokens/{domain}"]
        name = language_of.get(domain) if group == "languages" else domain
        tokens[name] = tokens.get(name, 0) + np.nansum(column)
        lately[domain] = np.nansum(column[-records.SMOOTH :])
        recent[name] = recent.get(name, 0) + lately[domain]
    final = _ends(run, lately, by_language=group == "languages")
    rows = []
    for name in sorted({*steps.inner(key), *curves}, key=lambda name: -recent.get(name, 0)):
        share = recent.get(name, 0) / max(sum(recent.values()), 1)
        rows.append({
            "group": group,
            "name": words.name("language", name) if group == "languages" else timeline.both(name),
            "share": words.percent(share) if name in tokens else "",
            "tokens": words.compact(tokens[name]) if name in tokens else "",
            "loss": words.loss(records.lately(steps[f"{key}/{name}"])),
            "bits": words.loss(curves[name][-1][1]) if name in curves else "–",
            "fall": words.change(-falls[name]) if name in falls else "",
            "final": words.loss(final[name]) if name in final else "",
            "lags": name == records.slowest(falls),
        })  # fmt: skip
    return rows


def _ends(run: Run, lately: dict[str, float], *, by_language: bool) -> dict[str, float]:
    """Where each domain's loss will end, or that of each language by what was read of it lately.

    A language of which a domain that is read has no forecast has none.
    """
    told = records.inner(records.last_forecast(run), "domains")
    ends = {name: records.number(end) for name, end in told.items()}
    if not by_language:
        return ends
    language_of, parts = records.language_of(run), {}
    for domain, count in lately.items():
        if count:
            end = ends.get(domain, math.nan)
            parts.setdefault(language_of.get(domain), []).append((count, end))
    means = {
        name: sum(count * end for count, end in each) / sum(count for count, _ in each)
        for name, each in parts.items()
    }
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


def hosts(run: Run) -> list[dict]:
    """A row for each host, as they were last laid side by side; empty for one host alone."""
    surveys = [event for event in run.events if event["kind"] == "hosts"]
    rows = surveys[-1].get("hosts") if surveys else None
    if not isinstance(rows, list) or len(rows) < 2 or not all(isinstance(r, dict) for r in rows):
        return []
    found = []
    for number, row in enumerate(rows):
        seconds = {key: records.number(row.get(key)) for key in ("data", "device", "probe")}
        clock = records.number(row.get("clock")) - records.number(rows[0].get("clock"))
        found.append({
            "name": f"{number} · {row.get('host', '')}",
            "clock": f"{clock:+.1f} s",
            "slow": number in records.listed(surveys[-1], "slow"),
            **{key: f"{1000 * value:,.1f} ms" for key, value in seconds.items()},
        })  # fmt: skip
    return found


def settings(run: Run) -> list[list[str]]:
    """Every setting of the configuration, by its dotted name."""
    return [
        [name.replace(" · ", ".").replace(" ", "_"), value]
        for name, value in timeline.flat(run.config)
    ]


def notes(run: Run) -> list[Text]:
    """What is missing, cut, damaged or odd in the records, one sentence each."""
    return [*_files(run), *_steps(run), *_values(run), *_clock(run)]


def _files(run: Run) -> list[Text]:
    found = []
    for name, log in run.logs.items():
        file = f"{name}.jsonl"
        if not (log.lines or log.cut):
            found.append(words.say(f"note.no_{name}", file=file))
        if log.damaged:
            lines = ", ".join(words.count(line) for line in log.damaged[:5])
            lines += " …" if len(log.damaged) > 5 else ""
            found.append(words.say("note.damaged", file=file, n=len(log.damaged), lines=lines))
        if log.cut:
            found.append(words.say("note.cut", file=file))
    for name in read.VALUES:
        if not getattr(run, name) and (run.path / f"{name}.json").is_file():
            found.append(words.say("note.unreadable", file=f"{name}.json"))
    # Those of a run in object storage are not beside the records that were fetched.
    saved, told = run.path / "checkpoints", any(event["kind"] == "save" for event in run.events)
    if not told and not (saved.is_dir() and any(saved.iterdir())):
        found.append(words.say("note.no_checkpoints"))
    return found


def _steps(run: Run) -> list[Text]:
    steps = records.steps_that_count(run)
    found = []
    holes = columns.gaps(steps["step"])
    if holes:
        spans = ", ".join(f"{words.count(a)}–{words.count(b)}" for a, b in holes[:3])
        spans += " …" if len(holes) > 3 else ""
        found.append(words.say("note.missing", n=words.count(len(holes)), spans=spans))
    repeated = run.metrics.size - steps.size
    if repeated:
        found.append(words.say("note.repeated", n=words.count(repeated)))
    return found


def _values(run: Run) -> list[Text]:
    found = []
    for key in ("loss", "grad_norm"):
        bad = np.flatnonzero(~np.isfinite(run.metrics[key]))
        if len(bad):
            first = words.count(run.metrics["step"][bad[0]])
            label = words.name("panel", key)
            found.append(
                words.say("note.not_finite", name=label, n=words.count(len(bad)), first=first)
            )
    return found


def _clock(run: Run) -> list[Text]:
    found = {"clock": goodput.clock_jumps(run.metrics)}
    found |= {"leap": goodput.clock_leaps(run.metrics, run.events)}
    notes = _clock_off(run)
    for name, jumps in found.items():
        if jumps:
            step, seconds = max(jumps, key=lambda jump: jump[1])
            told = {"n": len(jumps), "step": words.count(step), "time": words.duration(seconds)}
            notes.append(words.say(f"note.{name}", **told))
    return notes


def _clock_off(run: Run) -> list[Text]:
    surveys = [event for event in run.events if event["kind"] == "hosts"]
    found = records.listed(surveys[-1], "clock_off") if surveys else []
    return [words.say("note.clock_off", hosts=", ".join(map(str, found)))] if found else []
