"""The parts of a panel as plain values: a panel, a curve of one run, thinned and smoothed."""

import numpy as np

from aquila_jax.report import columns, records, words
from aquila_jax.report.words import Text

POINTS = 2000  # of a curve that fills the page
FEW = 600  # of a small one


def panel(name: str, section: str, series: list[dict], **more) -> dict:
    """A panel; its title is the words under `panel.NAME` unless `title` is given."""
    title = more.pop("title", None) or words.name("panel", name)
    return {"id": name, "section": section, "title": title, "series": series} | more


def line(run: int, label: Text, xy: tuple[np.ndarray, np.ndarray], **more) -> dict:
    """A curve of one run; float32 is what the signals were, and half the bytes."""
    x, y = xy
    y = np.where(np.isfinite(y), y, np.nan).astype(np.float32)
    return {"run": run, "name": label, "x": x.astype(np.int64), "y": y} | more


def curve(table: columns.Columns, key: str, points: int = FEW) -> tuple[np.ndarray, np.ndarray]:
    """Step and value where the value is known, thinned, with a break at missing steps."""
    known = np.flatnonzero(np.isfinite(table[key]))
    if not len(known):
        return np.zeros(0), np.zeros(0)
    known = np.arange(known[0], known[-1] + 1)
    return broken(*columns.thin(table["step"][known], table[key][known], points), table["step"])


def broken(x: np.ndarray, y: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve with a NaN in each gap of the steps, so that nobody reads what was not measured."""
    holes = np.array([first for first, _ in columns.gaps(steps)])
    at = np.searchsorted(x, holes)
    inside = (at > 0) & (at < len(x))
    return np.insert(x, at[inside], holes[inside]), np.insert(y, at[inside], np.nan)


def smoothed(table: columns.Columns, key: str, points: int = FEW) -> tuple[np.ndarray, np.ndarray]:
    """As `curve`, of the running mean of the last steps."""
    known = np.isfinite(table[key])
    table = columns.take(table, known)
    width = records.window(table.size)
    mean = columns.Columns(
        {"step": table["step"], key: columns.smooth(table[key], width)}, table.size
    )
    return curve(mean, key, points)
