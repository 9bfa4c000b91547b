"""Writers: what TensorBoard's own reader gives back is what was written."""

import sys
import types

import pytest

# TensorBoard's reader takes a minute to import TensorFlow where there is one; it needs none.
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from aquila_jax.report import writers  # noqa: E402
from aquila_jax.report.tensorboard import EventWriter  # noqa: E402


def read(folder, tag):
    events = EventAccumulator(str(folder)).Reload()
    return {event.step: (event.value, event.wall_time) for event in events.Scalars(tag)}


def test_tensorboard_reads_what_was_written(tmp_path):
    writer = EventWriter(tmp_path)
    for step in range(1, 6):
        writer.scalars(step, 100.0 + step, {"loss": step / 4, "domain_loss/zh": 2.0})
    assert read(tmp_path, "loss") == {step: (step / 4, 100.0 + step) for step in range(1, 6)}
    assert len(read(tmp_path, "domain_loss/zh")) == 5


def test_a_resume_takes_back_the_steps_it_left_behind(tmp_path):
    for first, last, value in ((1, 8, 1.0), (5, 6, 2.0)):
        writer = EventWriter(tmp_path)
        for step in range(first, last + 1):
            writer.scalars(step, float(step), {"loss": value})
    told = {step: value for step, (value, _) in read(tmp_path, "loss").items()}
    assert told == {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 2.0, 6: 2.0}


def test_all_writers_get_the_same_numbers(tmp_path, monkeypatch):
    told = []
    monkeypatch.setitem(writers.WRITERS, "wandb", lambda _: lambda *line: told.append(line))
    write = writers.open_writers(["wandb", "tensorboard"], tmp_path)
    write(1, 10.0, {"loss": 2.5})
    write(2, 11.0, {"loss": 2.25})
    assert told == [(1, 10.0, {"loss": 2.5}), (2, 11.0, {"loss": 2.25})]
    assert read(tmp_path / "tensorboard", "loss") == {1: (2.5, 10.0), 2: (2.25, 11.0)}


def test_unknown_and_missing_writers_are_told_in_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Unknown writer 'json': choose from tensorboard, wandb"):
        writers.open_writers(["json"], tmp_path)
    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ValueError, match=f"needs the package {name}: pip install {name}"):
            writers.open_writers([name], tmp_path)


def test_weights_and_biases_and_mlflow_are_called_as_they_document(tmp_path, monkeypatch):
    told = []
    logged = types.SimpleNamespace(log=lambda values, step: told.append(("wandb", step, values)))
    wandb = types.SimpleNamespace(init=lambda **_: logged)
    mlflow = types.SimpleNamespace(
        active_run=lambda: None,
        start_run=lambda run_name: told.append(("start", run_name)),
        log_metrics=lambda values, step: told.append(("mlflow", step, values)),
    )
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    writers.open_writers(["wandb", "mlflow"], tmp_path / "run")(3, 1.5, {"loss": 2.0})
    values = {"loss": 2.0, "time": 1.5}
    assert told == [("start", "run"), ("wandb", 3, values), ("mlflow", 3, values)]


def test_a_line_of_metrics_becomes_tags():
    line = {"step": 1, "loss": 2.5, "weight_std": {"query": [1, 2]}, "name": "x"}
    assert writers.flat(line) == {"loss": 2.5, "weight_std/query/0": 1, "weight_std/query/1": 2}
