"""The report as one self-contained HTML file: contents as JSON, drawn by the page's own script."""

import html
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import plotly.offline

from aquila_jax.core import files
from aquila_jax.report import facts, health, panels, records, series, timeline, words
from aquila_jax.report.columns import thin
from aquila_jax.report.read import Run, read_runs

SCRIPTS = ("format.js", "charts.js", "sections.js", "page.js")


def write_page(workdirs: Sequence[Path], out: Path) -> Path:
    """Writes the report of the runs to `out` in one move. ValueError if a folder is no run."""
    require_file(out)
    files.write(out, render(contents(read_runs(workdirs), now=time.time())).encode())
    return out


def require_file(out: Path) -> None:
    """ValueError if `out` cannot be a page, since it is a folder."""
    if out.is_dir():
        raise ValueError(
            f"{out} is a folder where the page's file has to be; name {out}/NAME.html."
        )


def contents(runs: list[Run], *, now: float, live: float = 0.0) -> dict:
    """Everything that the page shows, as plain values; `live`: seconds between its questions."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return {
        "as_of": words.say("page.as_of", time=stamp),
        "live": live,
        "runs": [_run(run, i, now=now) for i, run in enumerate(runs)],
        "panels": panels.panels(runs),
    }


def _run(run: Run, number: int, *, now: float) -> dict:
    return {
        "name": run.name,
        "health": health.health(run, now),
        "notes": facts.notes(run),
        "domains": facts.domains(run),
        "hosts": facts.hosts(run),
        "timeline": timeline.entries(run, number),
        "facts": facts.facts(run),
        "settings": facts.settings(run),
        "axis": _axis(run),
    }


def _axis(run: Run) -> dict:
    """Steps and the tokens seen by then, so that the page can put tokens on its axis."""
    steps = records.steps_that_count(run)
    known = np.isfinite(steps["tokens"])
    x, y = thin(steps["step"][known], steps["tokens"][known], series.FEW)
    return {"step": x, "tokens": y}


def as_json(value: object) -> bytes:
    """JSON; arrays are written as they are, and what is not finite becomes null."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def render(value: dict) -> str:
    """The page of runs with its contents inside; nothing is fetched from anywhere."""
    names = ", ".join(run["name"] for run in value["runs"])
    return fill(names, value, SCRIPTS, library=plotly.offline.get_plotlyjs())


def fill(title: str, value: dict, names: Sequence[str], *, library: str = "") -> str:
    """The frame of every page with `value` inside, drawn by the scripts `names`."""
    # No text of a run may end the script element that it stands in.
    data = as_json(value).decode().replace("<", "\\u003c")
    table = as_json(words.WORDS).decode().replace("<", "\\u003c")
    scripts = [(words.STATIC / name).read_text(encoding="utf-8") for name in names]
    filled = {
        "title": html.escape(title),
        "style": (words.STATIC / "page.css").read_text(encoding="utf-8"),
        "data": data,
        "words": table,
        "script": "\n".join(scripts),
        "library": library,
    }
    page = (words.STATIC / "page.html").read_text(encoding="utf-8")
    before, *parts = page.split("{{")
    pieces = [before]
    for part in parts:
        name, rest = part.split("}}", 1)
        pieces += [filled[name], rest]
    return "".join(pieces)
