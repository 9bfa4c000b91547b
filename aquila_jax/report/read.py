"""Readers of a run's folder that take whatever is there and say what is not."""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from aquila_jax.report import columns, words

LOGS = ("metrics", "evaluations", "journal", "events")
VALUES = ("config", "summary")
STEPLESS = {"journal": 0, "events": 0}  # what is no measurement may come before the first step
EXACT = 2**53  # the largest step that float64 and the page's script count
BLOCK = 2000  # lines


@dataclasses.dataclass(frozen=True)
class Log:
    """What has been read of one growing JSON Lines file, and how far."""

    offset: int = 0  # bytes
    lines: int = 0
    damaged: tuple[int, ...] = ()  # numbers of unreadable lines, from 1
    cut: int = 0  # bytes of an unfinished last line
    file: int = 0  # inode: a resume puts a new, shorter file in the place of the old


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One run as far as its folder tells; `read` again with it reads only what is new."""

    path: Path
    name: str
    logs: dict[str, Log]
    metrics: columns.Columns  # in the order of the file
    evaluations: tuple[dict, ...]
    journal: tuple[dict, ...]
    events: tuple[dict, ...]
    config: dict
    summary: dict


def read_runs(workdirs: Sequence[Path], before: Sequence[Run] = ()) -> list[Run]:
    """The runs in the folders, by names that differ; `before` saves reading again."""
    paths = [Path(workdir) for workdir in workdirs]
    if not paths:
        raise ValueError("No run was given: name at least one --workdir.")
    for i, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:i]]:
            raise ValueError(f"{path} was given twice: name each run once.")
    known = {run.path: run for run in before}
    return [
        read_run(path, name, known.get(path))
        for path, name in zip(paths, names(paths), strict=True)
    ]


def names(paths: Sequence[Path]) -> list[str]:
    """Shortest ends of the paths that tell all of them apart."""
    parts = [Path(words.path(path.resolve())).parts for path in paths]
    depth = 1
    ends = ["/".join(part[-depth:]) for part in parts]
    while len(set(ends)) < len(set(parts)):
        depth += 1
        ends = ["/".join(part[-depth:]) for part in parts]
    return ends


def read_run(path: Path, name: str, before: Run | None = None) -> Run:
    """The run in `path`. ValueError if the folder is missing or belongs to something else."""
    _check_is_run(path)
    if before is None or any(_replaced(path / f"{log}.jsonl", before.logs[log]) for log in LOGS):
        nothing = columns.Columns({}, 0)
        logs = dict.fromkeys(LOGS, Log())
        before = Run(path=path, name=name, logs=logs, metrics=nothing, evaluations=(),
                     journal=(), events=(), config={}, summary={})  # fmt: skip
    table, metrics_log = read_metrics(path / "metrics.jsonl", before.logs["metrics"])
    fresh = {log: read_rows(path / f"{log}.jsonl", before.logs[log]) for log in LOGS[1:]}
    logs = {log: state for log, (_, state) in fresh.items()}
    return Run(
        path=path,
        name=name,
        logs={"metrics": metrics_log} | logs,
        metrics=columns.join([before.metrics, table]),
        evaluations=before.evaluations + tuple(fresh["evaluations"][0]),
        journal=before.journal + tuple(row for row in fresh["journal"][0] if "kind" in row),
        events=before.events + tuple(row for row in fresh["events"][0] if "kind" in row),
        **{value: read_value(path / f"{value}.json") for value in VALUES},
    )


def _check_is_run(path: Path) -> None:
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder: give the --workdir of a training run.")
    inside = {entry.name for entry in path.iterdir()}
    ours = {f"{log}.jsonl" for log in LOGS} | {f"{value}.json" for value in VALUES}
    if inside and not inside & (ours | {"store", "checkpoints", "steer", "tensorboard"}):
        raise ValueError(
            f"{path} is not the folder of a run: it has none of {', '.join(sorted(ours))}; "
            "give the --workdir of a training run."
        )


def _replaced(path: Path, log: Log) -> bool:
    if not path.is_file():
        return log.file != 0
    now = path.stat()
    return log.file not in {0, now.st_ino} or now.st_size < log.offset


def read_rows(path: Path, log: Log) -> tuple[list[dict], Log]:
    """The rows after `log.offset` and the new log; damaged lines are counted, not fatal."""
    lines, after = read_lines(path, log)
    otherwise = STEPLESS.get(path.stem)
    rows, damaged = parse(lines, _exact, first=log.lines + 1, otherwise=otherwise)
    return rows, dataclasses.replace(after, damaged=log.damaged + damaged)


def read_metrics(path: Path, log: Log) -> tuple[columns.Columns, Log]:
    """As `read_rows`, as columns; in blocks, so that 100,000 steps never stand as objects."""
    lines, after = read_lines(path, log)
    tables, damaged = [], log.damaged
    for i in range(0, len(lines), BLOCK):
        rows, bad = parse(lines[i : i + BLOCK], _numbers, first=log.lines + i + 1)
        tables.append(columns.from_rows(rows))
        damaged += bad
    return columns.join(tables), dataclasses.replace(after, damaged=damaged)


def read_lines(path: Path, log: Log) -> tuple[list[bytes], Log]:
    """Whole lines after `log.offset`; a last line without its newline waits for the rest."""
    if not path.is_file():
        return [], log
    with path.open("rb") as file:
        inode = os.fstat(file.fileno()).st_ino
        file.seek(log.offset)
        data = file.read()
    *whole, rest = data.split(b"\n")
    read, lines = log.offset + len(data) - len(rest), log.lines + len(whole)
    return whole, Log(read, lines, damaged=log.damaged, cut=len(rest), file=inode)


def parse(
    lines: list[bytes],
    loads: Callable[[bytes], object],
    *,
    first: int,
    otherwise: int | None = None,
) -> tuple[list[dict], tuple[int, ...]]:
    """Rows, each with a whole `step`, and the numbers of damaged lines, counted from `first`.

    A row without a step gets `otherwise`; it is damaged if that is None.
    """
    rows, damaged = [], []
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            row = loads(line)
            row["step"] = _step(row.get("step", otherwise))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            damaged.append(first + i)
            continue
        rows.append(row)
    return rows, tuple(damaged)


def _step(value: object) -> int:
    step = int(value)
    if abs(step) > EXACT:
        raise ValueError(f"step {step} is beyond what a page can count.")
    return step


def _numbers(line: bytes):
    """Fast for lines of numbers, nearly all of which hold an Infinity: a limit not set."""
    for word in (b"-Infinity", b"Infinity", b"NaN"):
        if word in line:  # as a value, and not in the name of a domain
            for mark in (b": ", b":", b", ", b",", b"["):
                line = line.replace(mark + word, mark + b"null")
    return orjson.loads(line)


def _exact(text: bytes):
    """Strict JSON has no NaN and no Infinity; Python's own writer makes them, its reader takes them."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return printable(json.loads(text))


def printable(value: object):
    """The plain value with `?` for halves of surrogate pairs, which no page can hold."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def read_value(path: Path) -> dict:
    """The object in a JSON file; empty where there is none that can be read."""
    try:
        value = _exact(path.read_bytes()) if path.is_file() else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}
