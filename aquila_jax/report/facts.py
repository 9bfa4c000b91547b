"""What a run is, how each domain does, and what is missing from its records."""

import datetime

import numpy as np

from aquila_jax.report import columns, goodput, records, timeline, words
from aquila_jax.report.read import Run
from aquila_jax.report.words import Text

# Where the values of the first rows are looked for, at any depth of the files of the run.
NAMED = {
    "parameters": ("parameters", "parameter_count", "n_parameters"),
    "git": ("git", "git_commit", "commit", "revision"),
    "device": ("device", "devices", "hardware", "device_kind"),
}


def facts(run: Run) -> list[list]:
    """Label and value of what a reader asks first."""
    steps = records.steps_that_count(run)
    sources = [*run.events[:1], run.summary, *run.journal[:1], run.config]
    rows = [["path", str(run.path)]]
    if run.events and goodput.seconds(run.events[0], "time"):
        begun = datetime.datetime.fromtimestamp(run.events[0]["time"])
        rows.append(["begun", begun.strftime("%Y-%m-%d %H:%M")])
    for label, keys in NAMED.items():
        found = (find(source, key) for source in sources for key in keys)
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
    rows = []
    for group, key in (("languages", "language_loss"), ("domains", "domain_loss")):
        curves = records.heldout(run, group)
        for name in dict.fromkeys([*steps.inner(key), *curves]):
            rows.append(_domain(run, steps, name, group=group, curve=curves.get(name, [])))
    return rows


def _domain(run: Run, steps: columns.Columns, name: str, *, group: str, curve: list) -> dict:
    key = {"languages": "language_loss", "domains": "domain_loss"}[group]
    trained = columns.smooth(steps[f"{key}/{name}"], records.SMOOTH)
    tokens = np.nansum(steps[f"domain_tokens/{name}"]) if group == "domains" else 0
    recent = np.nansum(steps[f"domain_tokens/{name}"][-records.SMOOTH :])
    every = [steps[f"domain_tokens/{other}"] for other in steps.inner("domain_tokens")]
    total = sum(np.nansum(column[-records.SMOOTH :]) for column in every)
    final = records.inner(records.last_forecast(run), "domains").get(name)
    return {
        "group": group,
        "name": words.name("language", name) if group == "languages" else timeline.both(name),
        "share": words.percent(recent / total) if tokens and total else "",
        "tokens": words.compact(tokens) if tokens else "",
        "loss": words.loss(trained[-1]) if len(trained) else "–",
        "bits": words.loss(curve[-1][1]) if curve else "–",
        "fall": _fall(curve),
        "final": words.loss(records.number(final)) if final is not None else "",
    }


def _fall(curve: list[tuple[int, float]]) -> str:
    """How much held-out bits per byte fell over the last half of the run: −2.1 %."""
    if len(curve) < 2:
        return ""
    then = min(curve, key=lambda point: abs(point[0] - curve[-1][0] / 2))
    return words.percent(curve[-1][1] / then[1] - 1, 1).replace("-", "−") if then[1] > 0 else ""


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
        if not log.file:
            found.append(words.say(f"note.no_{name}", file=file))
        if log.damaged:
            lines = ", ".join(words.count(line) for line in log.damaged[:5])
            lines += " …" if len(log.damaged) > 5 else ""
            found.append(words.say("note.damaged", file=file, n=len(log.damaged), lines=lines))
        if log.cut:
            found.append(words.say("note.cut", file=file))
    saved = run.path / "checkpoints"
    if not saved.is_dir() or not any(saved.iterdir()):
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
        if key in run.metrics.values and len(bad):
            first = words.count(run.metrics["step"][bad[0]])
            label = words.name("panel", key)
            found.append(
                words.say("note.not_finite", name=label, n=words.count(len(bad)), first=first)
            )
    return found


def _clock(run: Run) -> list[Text]:
    jumps = goodput.clock_jumps(run.metrics)
    if not jumps:
        return []
    step, seconds = max(jumps, key=lambda jump: jump[1])
    back = words.duration(seconds)
    return [words.say("note.clock", n=len(jumps), step=words.count(step), time=back)]
