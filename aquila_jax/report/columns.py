"""Steps of a run as columns of float64: from JSON lines, joined, cleaned, thinned, smoothed."""

import dataclasses
import operator
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


@dataclasses.dataclass(frozen=True)
class Columns:
    """`size` rows; a nested key is `outer/inner`; what a row does not have is NaN."""

    values: dict[str, np.ndarray]
    size: int

    def __getitem__(self, key: str) -> np.ndarray:
        return self.values[key] if key in self.values else np.full(self.size, np.nan)

    def inner(self, outer: str) -> list[str]:
        """The sorted inner keys below `outer`: `inner("domain_loss")` names the domains."""
        start = outer + "/"
        return sorted(key[len(start) :] for key in self.values if key.startswith(start))


def from_rows(rows: list[dict]) -> Columns:
    """Numbers of the rows, one level of nesting; lists and texts are left out."""
    values = {}
    first = rows[0] if rows else {}
    for key in dict.fromkeys([*first, *sorted(set().union(*rows))]):
        cells = _cells(rows, key)
        if any(isinstance(cell, dict) for cell in (cells[0], cells[-1])):
            nested = from_rows([cell if isinstance(cell, dict) else {} for cell in cells])
            values |= {f"{key}/{name}": column for name, column in nested.values.items()}
        elif not isinstance(cells[0], list):
            values[key] = _floats(cells)
    known = {key: column for key, column in values.items() if not np.isnan(column).all()}
    return Columns(known, len(rows))


def _cells(rows: list[dict], key: str) -> list:
    try:
        return list(map(operator.itemgetter(key), rows))
    except KeyError:
        return [row.get(key) for row in rows]


def _floats(cells: list) -> np.ndarray:
    try:
        column = np.array(cells, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        column = np.zeros(0)
    if column.shape == (len(cells),):
        return column
    return np.array([cell if isinstance(cell, float | int) else np.nan for cell in cells], float)


def join(tables: Sequence[Columns]) -> Columns:
    """The rows of all, one after the other."""
    tables = [table for table in tables if table.size]
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(name for table in tables for name in table.values)
    values = {name: np.concatenate([table[name] for table in tables]) for name in names}
    return Columns(values, sum(table.size for table in tables))


def take(table: Columns, rows: np.ndarray) -> Columns:
    """The rows chosen by a mask or by indices."""
    values = {name: column[rows] for name, column in table.values.items()}
    size = len(np.arange(table.size)[rows])
    return Columns(values, size)


def counts(steps: np.ndarray) -> np.ndarray:
    """Mask of rows that still count: no later row has the same step or an earlier one.

    A rewind or a resume writes steps again; what the run left behind is False.
    """
    if not len(steps):
        return np.zeros(0, bool)
    later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < later[1:], True)


def gaps(steps: np.ndarray) -> list[tuple[int, int]]:
    """Missing steps as [first, last] inside rising `steps`, by their usual distance."""
    if len(steps) < 3:
        return []
    distance = np.diff(steps)
    usual = np.median(distance)
    wide = np.flatnonzero(distance > 1.5 * usual)
    return [(int(steps[i] + usual), int(steps[i + 1] - usual)) for i in wide]


def thin(x: np.ndarray, y: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """About `points` of the points: lowest and highest of each equal stretch, and both ends.

    NaN never hides an extreme: a stretch gives its NaN only where it has nothing else.
    """
    if len(y) <= points:
        return x, y
    stretches = max(points // 2 - 1, 1)
    width = -(-len(y) // stretches)
    padded = np.pad(y, (0, width * stretches - len(y)), constant_values=np.nan)
    blocks = padded.reshape(stretches, width)
    first = np.arange(stretches) * width
    low = np.where(np.isnan(blocks), np.inf, blocks).argmin(axis=1) + first
    high = np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=1) + first
    rows = np.unique(np.concatenate([[0], low, high, [len(y) - 1]]))
    rows = rows[rows < len(y)]
    return x[rows], y[rows]


def smooth(y: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last `width` finite values at each place; NaN where there is none."""
    finite = np.isfinite(y)
    # Each window by itself: in a running sum one huge value would hide all after it.
    total, number = (
        sliding_window_view(np.pad(values, (width, 0)), width)[1:].sum(axis=1)
        for values in (np.where(finite, y, 0.0), finite)
    )
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def typical(values: np.ndarray) -> float:
    """Median of the finite values; NaN where there is none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
