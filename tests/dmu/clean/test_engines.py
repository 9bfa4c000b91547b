import functools
import pathlib
import pickle
import resource
import subprocess
import sys
import types

import pytest
from datatrove.data import Document

from aquila_jax.dmu.clean import documents, engines


def fill(folder, shards=3):
    for rank in range(shards):
        with documents.writer(str(folder)) as out:
            for at in range(4):
                out.write(Document(text=f"text {at}", id=f"{rank}-{at}"), rank)


def copy(source, target):
    read = functools.partial(documents.reader, folder=str(source))
    return read, documents.writer(str(target))


def ids(folder, shards=3):
    read = functools.partial(documents.reader, None, folder=str(folder))
    return [[one.id for one in read(rank, shards)] for rank in range(shards)]


def run(pipeline, logs, engine="local", workers=1, tasks=3):
    engines.run(
        pipeline, tasks, str(logs), engine=engine, workers=workers, report=lambda line: None
    )


def test_one_process_and_two_give_the_same_files(tmp_path):
    fill(tmp_path / "in")
    for workers in (1, 2):
        run(
            copy(tmp_path / "in", tmp_path / f"out{workers}"),
            tmp_path / f"logs{workers}",
            workers=workers,
        )
    assert ids(tmp_path / "out1") == ids(tmp_path / "out2") == ids(tmp_path / "in")
    files = [(tmp_path / f"out{workers}" / "00001.jsonl.zst").read_bytes() for workers in (1, 2)]
    assert files[0] == files[1]


def test_done_tasks_are_not_done_again(tmp_path):
    fill(tmp_path / "in")
    pipeline = copy(tmp_path / "in", tmp_path / "out")
    run(pipeline, tmp_path / "logs")
    (tmp_path / "out" / "00001.jsonl.zst").unlink()
    run(pipeline, tmp_path / "logs")
    assert ids(tmp_path / "out")[1] == []
    (tmp_path / "logs" / "completions" / "00001").unlink()
    run(pipeline, tmp_path / "logs")
    assert ids(tmp_path / "out") == ids(tmp_path / "in")


def test_a_task_that_fails_is_not_marked_as_done(tmp_path):
    def broken(_data, rank, _world):
        if rank == 1:
            raise ValueError("no more room")

    with pytest.raises(ValueError, match="no more room"):
        run((broken,), tmp_path / "logs")
    marks = sorted(file.name for file in pathlib.Path(tmp_path / "logs/completions").iterdir())
    assert marks == ["00000"]


def test_a_limit_of_open_files_that_cannot_be_raised_is_a_sentence(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (80, 100))
    with pytest.raises(ValueError, match="101 files open, .* set a larger shard_characters"):
        engines.allow_files(None, 0, 1, files=101)


def test_a_worker_elsewhere_does_not_fork(tmp_path, monkeypatch):
    """datatrove forks a process for each task of a Ray job, unless it is told another way."""
    sent = []

    def ray(*, pipeline, tasks, logging_dir, **_):
        sent.append(pickle.dumps(pipeline[0]))
        marks = pathlib.Path(logging_dir) / "completions"
        marks.mkdir(parents=True)
        for rank in range(tasks):
            (marks / f"{rank:05d}").touch()
        return types.SimpleNamespace(run=lambda: None)

    monkeypatch.setitem(engines.EXECUTORS, "ray", ray)
    run((), tmp_path / "logs", engine="ray")
    code = "import pickle, sys, multiprocess as m; pickle.loads(sys.stdin.buffer.read()); print(m.get_start_method())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=sent[0], capture_output=True, check=True
    )
    assert done.stdout == b"forkserver\n"


def test_unknown_engines_are_refused(tmp_path):
    with pytest.raises(ValueError, match="engine='spark' must be one of local, ray"):
        run((), tmp_path / "logs", engine="spark")
