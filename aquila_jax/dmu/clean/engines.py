"""Where the stages run: in this process, in several, or on a Ray cluster; the results are equal."""

import collections
import copy
import functools
import pathlib
import resource
from collections.abc import Callable, Sequence
from typing import Literal

import loguru
import multiprocess
from datatrove.executor import LocalPipelineExecutor
from datatrove.executor.ray import RayPipelineExecutor

from aquila_jax.dmu.progress import Report, track

# datatrove says several lines a task: not here, nor in the processes forked from its server,
# which therefore loads this module first.
loguru.logger.disable("datatrove")
multiprocess.set_forkserver_preload([__name__])
# Its manager too: a fork of this process would copy the locks of JAX's threads.
multiprocess.set_start_method("forkserver", force=True)

Engine = Literal["local", "ray"]
Pipeline = Sequence[Callable]


def run(
    pipeline: Pipeline, tasks: int, logs: str, *, engine: Engine, workers: int, report: Report
) -> None:
    """Runs the tasks of a stage that are not marked as done in `logs`; ValueError if one fails."""
    name = pathlib.Path(logs).name
    if engine == "local" and workers == 1:
        _run_here(pipeline, tasks, logs, report)
    elif engine in EXECUTORS:
        report(f"{name}: {tasks} tasks, {workers} at a time")
        EXECUTORS[engine](
            pipeline=[come_along, *pipeline], tasks=tasks, workers=workers, logging_dir=logs
        ).run()
    else:
        raise ValueError(f"engine={engine!r} must be one of {', '.join(EXECUTORS)}.")
    missing = [rank for rank in range(tasks) if not _mark(logs, rank).exists()]
    if missing:
        raise ValueError(f"task {missing[0]} of {name} failed; its log is in {logs}; run it again.")


def _run_here(pipeline: Pipeline, tasks: int, logs: str, report: Report) -> None:
    """What datatrove's executors do, without their processes and log files."""
    advance = track(report, title=pathlib.Path(logs).name, unit="tasks", total=tasks)
    for rank in range(tasks):
        if not _mark(logs, rank).exists():
            documents = None
            for step in copy.deepcopy(list(pipeline)):
                documents = step(documents, rank, tasks)
            if documents is not None:
                collections.deque(documents, maxlen=0)
            _mark(logs, rank).parent.mkdir(parents=True, exist_ok=True)
            _mark(logs, rank).touch()
        advance(1)


def come_along(data: None, _rank: int, _world: int) -> None:
    """A datatrove step that brings this module, and so its start method, to a worker elsewhere.

    Ray's workers would else fork beside their threads, where a task may wait for a lock for ever.
    """
    return data


def allow_files(_data: None, _rank: int, _world: int, *, files: int) -> None:
    """A datatrove step: lets its process hold that many files open; ValueError if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        raise ValueError(
            f"the cleaning must hold {files:,} files open, a few for each shard, and this machine "
            f"allows {hard:,}; set a larger shard_characters, or raise the limit (ulimit -Hn)."
        )
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def _mark(logs: str, rank: int) -> pathlib.Path:
    """datatrove's own mark of a finished task, so that any engine can go on with another's work."""
    return pathlib.Path(logs) / "completions" / f"{rank:05d}"


# A Ray job starts in seconds, so that one takes several tasks, each in a process of its own.
EXECUTORS = {
    "local": LocalPipelineExecutor,
    "ray": functools.partial(RayPipelineExecutor, tasks_per_job=4, mem_per_cpu_gb=1),
}
