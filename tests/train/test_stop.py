"""What can happen to a run and to its folder; all in one process."""

import os
import shutil
import signal

import jax
import numpy as np
import pytest

from aquila_jax.checkpoint import CheckpointError, Checkpoints
from aquila_jax.core.journal import read_lines
from aquila_jax.train import cycle, inbox, look, run
from aquila_jax.train.loop import train
from aquila_jax.train.replay import replay
from aquila_jax.train.stop import StopSignal
from aquila_jax.train.workdir import Workdir
from tests.train import jobs, small


@pytest.fixture(scope="module")
def config(runs):
    return small.config(runs / "store")


@pytest.fixture(scope="module")
def whole(runs, config):
    """A run that was never stopped."""
    assert small.run(config, runs / "whole") == "finished"
    return jobs.learned(runs / "whole")


def test_where_it_cannot_save_it_does_not_say_that_it_did(runs, config, monkeypatch):
    def full(*_):
        raise CheckpointError("could not save a checkpoint: No space left on device")

    def at_step_11(line):
        if line.startswith("step     11"):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Checkpoints, "replace", full)
    often = small.change(config, "train", report_seconds=0.0)
    with pytest.raises(CheckpointError, match="No space left"):
        train(often, runs / "full", report=at_step_11, devices=jax.devices()[:1])
    event = read_lines(runs / "full" / "events.jsonl")[-1]
    assert event["kind"] == "failed" and "No space left" in event["why"]


def test_of_several_processes_one_that_is_interrupted_tells_all(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    got = []
    before = signal.signal(signal.SIGTERM, lambda *_: got.append("told"))
    try:
        with StopSignal():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == ["told"]


def test_sigterm_saves_and_the_run_goes_on_from_there(runs, config, whole):
    often = small.change(config, "train", report_seconds=0.0)
    said = []

    def at_step_11(line):
        said.append(line)
        if line.startswith("step     11"):
            os.kill(os.getpid(), signal.SIGTERM)

    workdir = runs / "stopped"
    assert train(often, workdir, report=at_step_11, devices=jax.devices()[:1]) == "stopped"
    stopped_at = jobs.learned(workdir)["step"]
    assert 11 <= stopped_at < small.STEPS
    assert train(often, workdir, report=said.append, devices=jax.devices()[:1]) == "finished"
    assert any(f"going on after step {stopped_at}" in line for line in said)
    assert jobs.learned(workdir) == whole


def test_a_finished_run_is_left_as_it_is(runs, config, whole):
    assert small.run(config, runs / "whole") == "finished"
    assert jobs.learned(runs / "whole") == whole


def test_a_damaged_newest_checkpoint_is_left_out_and_the_run_ends_the_same(runs, config, whole):
    shutil.copytree(runs / "whole", runs / "damaged")
    newest = runs / "damaged" / "checkpoints" / str(small.STEPS) / "state"
    biggest = max(newest.rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    biggest.write_bytes(biggest.read_bytes()[:50])
    said = []
    train(config, runs / "damaged", report=said.append, devices=jax.devices()[:1])
    assert any(f"checkpoint {small.STEPS}" in line and "damaged" in line for line in said)
    assert jobs.learned(runs / "damaged") == whole


def test_one_that_was_stopped_at_its_last_step_is_finished_by_the_same_command(
    runs, config, whole, monkeypatch
):
    workdir, settle = runs / "stopped_last", run.Run.settle
    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "settle", lambda r: "stop" if r._all_read else settle(r))
        assert small.run(config, workdir) == "called"
    inbox.hand_in(workdir, {"author": "mei", "why": "late", "request": {"kind": "stop"}})
    monkeypatch.setattr(inbox, "EVERY", 7)  # there is no look any more
    assert small.run(config, workdir) == "finished"
    assert jobs.learned(workdir) == whole
    kinds = [line["kind"] for line in small.lines(workdir, "events")]
    assert kinds.count("finish") == 1
    [reason] = (workdir / "steer" / "refused").glob("*.reason")
    assert "the run had ended" in reason.read_text()
    assert not list((workdir / "steer" / "inbox").iterdir())


def test_a_run_does_not_go_on_with_another_store(runs, config, whole, tmp_path):
    small.make_store(tmp_path, seed=7)
    workdir = tmp_path / "run"
    shutil.copytree(runs / "whole", workdir)
    shutil.copytree(runs / "store", tmp_path / "moved")
    assert small.run(small.change(config, "data", store=str(tmp_path / "moved")), workdir)
    other = small.change(config, "data", store=str(tmp_path / "store"))
    with pytest.raises(ValueError, match="is not the store that this run was trained on"):
        small.run(other, workdir)
    assert look.documents(workdir, 30, report=lambda line: None)  # refused, it changed nothing
    shutil.rmtree(tmp_path / "moved")
    shutil.move(tmp_path / "store", tmp_path / "moved")
    with pytest.raises(ValueError, match="is not the store that this run was trained on"):
        look.documents(workdir, 30, report=lambda line: None)


def test_how_a_step_is_computed_may_change_on_the_way(runs, config, whole, monkeypatch):
    """Micro-batches, rematerialisation and chunks of the loss: the same losses, and a true journal."""
    workdir = runs / "recomputed"
    shutil.copytree(runs / "whole", workdir)
    shutil.rmtree(workdir / "checkpoints" / str(small.STEPS))
    other = small.change(config, "train", accumulate=2)
    other = small.change(other, "model", remat="none", loss_chunks=1, unroll=1)
    assert small.run(other, workdir) == "finished"
    lines, before = (small.lines(runs / name, "metrics") for name in ("recomputed", "whole"))
    assert [line["micro_batches"] for line in lines] == [1] * 40 + [2] * 20
    assert [line["domain_tokens"] for line in lines] == [line["domain_tokens"] for line in before]
    assert "step_seconds" not in before[0]  # it began while it was compiled
    losses = ([line["loss"] for line in run] for run in (lines, before))
    np.testing.assert_allclose(*losses, rtol=1e-4)
    learn, told = cycle.learn, []
    monkeypatch.setattr(
        cycle, "learn", lambda *given: told.append(given[2].micro_batches) or learn(*given)
    )
    replay(workdir)
    assert told == [1] * 40 + [2] * 20


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("model", {"layers": 3}, "model.layers: 2 -> 3"),
        ("train", {"batch": 12}, "train.batch: 8 -> 12"),
    ],
)
def test_a_workdir_of_another_configuration_is_refused(
    runs, config, whole, *, part, changes, message
):
    with pytest.raises(ValueError, match="belongs to another configuration") as refused:
        small.run(small.change(config, part, **changes), runs / "whole")
    assert message in str(refused.value)
    assert jobs.learned(runs / "whole") == whole


def test_two_runs_in_one_workdir_the_second_is_refused(runs, config):
    said = []

    def second(line):
        if not said:
            with pytest.raises(ValueError, match="another run is at work") as refused:
                small.run(often, runs / "shared")
            said.append(refused.value)

    often = small.change(config, "train", report_seconds=0.0)
    assert train(often, runs / "shared", report=second, devices=jax.devices()[:1]) == "finished"
    assert said


@pytest.mark.parametrize("broken", ["opened", "abstract_state"])
def test_a_run_that_cannot_be_opened_lets_the_next_one_have_its_folder(
    runs, config, broken, monkeypatch
):
    """At once, and although the failure is kept, with all that it holds."""

    def fail(*_):
        raise OSError("no route to host")

    folder, released = runs / f"unopened-{broken}", []
    close = Workdir.close
    monkeypatch.setattr(Workdir, "close", lambda self: released.append(close(self)))
    with monkeypatch.context() as patch:
        patch.setattr(run, broken, fail)
        with pytest.raises(OSError, match="no route to host") as kept:
            small.run(config, folder)
    assert len(released) == 1 and kept.value
    Workdir(folder, config, writes=True).close()
