"""The panels about the data: each language and domain, and the mixture over time."""

import numpy as np

from aquila_jax.report import columns, records, series, timeline, words
from aquila_jax.report.read import Run
from aquila_jax.report.words import Text

COLOURS = 10  # of the page: more areas could not be told apart


def multiples(runs: list[Run], steps: list[columns.Columns]) -> list[dict]:
    """The small panels: languages, then domains; held-out first, then training."""
    evaluated = [
        {group: list(records.heldout(run, group)) for group in records.GROUPS} for run in runs
    ]
    found = []
    for group, key in records.GROUPS.items():
        names = dict.fromkeys(name for each in evaluated for name in each[group])
        found += [heldout(runs, group, name) for name in names]
        names = dict.fromkeys(name for table in steps for name in table.inner(key))
        found += [training(steps, group, name) for name in names]
    return found


def heldout(runs: list[Run], group: str, name: str) -> dict:
    """Held-out bits per byte of one domain or language."""
    drawn = []
    for i, run in enumerate(runs):
        x, y = np.array(records.heldout(run, group).get(name, [])).reshape(-1, 2).T
        if len(x):
            drawn.append(series.line(i, words.say("series.heldout"), (x, y), role="points"))
    return small("heldout", group, name, drawn=drawn, unit="bits/byte")


def training(steps: list[columns.Columns], group: str, name: str) -> dict:
    """Training loss of one domain or language."""
    key = f"{records.GROUPS[group]}/{name}"
    curves = [(i, series.smoothed(table, key)) for i, table in enumerate(steps)]
    drawn = [
        series.line(i, words.say("series.main"), xy, role="main") for i, xy in curves if len(xy[0])
    ]
    return small("training", group, name, drawn=drawn, unit="nats")


def small(section: str, group: str, name: str, *, drawn: list[dict], unit: str) -> dict:
    """One of the small panels of equal size, titled by its language or domain."""
    title = words.name("language", name) if group == "languages" else timeline.both(name)
    more = {"title": title, "unit": unit, "small": group}
    return series.panel(f"{section}-{group}-{name}", section, drawn, **more)


def mixture(run: Run, table: columns.Columns, number: int) -> dict:
    """Share of each domain over time, as the journal's mixtures set it."""
    entries = [entry for entry in run.journal if entry["kind"] == "mixture"]
    entries = [entry for entry in entries if records.inner(entry, "weights")]
    if not entries:
        return series.panel(f"mixture-{number}", "mixture", [])
    first = np.array([records.number(entry.get("first_sequence")) for entry in entries])
    x = np.array([entry["step"] for entry in entries], dtype=np.float64)
    known = np.isfinite(table["sequences"])
    if known.any():
        at = np.interp(first, table["sequences"][known], table["step"][known], left=0)
        x = np.where(np.isfinite(at), at, x)
    x = np.append(x, max(records.last_step(table), x[-1] + 1))
    drawn = [
        series.line(number, label, (x, 100 * np.append(share, share[-1])), role="area")
        for label, share in areas([entry["weights"] for entry in entries])
    ]
    title = words.say("panel.mixture")
    return series.panel(f"mixture-{number}", "mixture", drawn, title=title, unit="%")


def areas(mixtures: list[dict]) -> list[tuple[Text, np.ndarray]]:
    """Name and shares of each domain; of many the largest ones, and the others together."""
    names = dict.fromkeys(name for weights in mixtures for name in weights)
    shares = {
        name: np.array([records.number(weights.get(name, 0.0)) for weights in mixtures])
        for name in names
    }
    own = set(names)
    if len(names) > COLOURS:
        own = set(sorted(names, key=lambda name: -shares[name].max())[: COLOURS - 1])
    found = [(timeline.both(name), shares[name]) for name in names if name in own]
    rest = [shares[name] for name in names if name not in own]
    return [*found, (words.say("series.others", n=len(rest)), sum(rest))] if rest else found
