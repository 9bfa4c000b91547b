"""Readers of damaged, growing and foreign folders."""

import json

import numpy as np
import pytest

from aquila_jax.report import read


def lines(*values) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def test_a_cut_line_waits_and_damaged_lines_are_counted(tmp_path):
    good = [{"step": i, "kind": "alarm"} for i in range(1, 4)]
    text = lines(good[0]) + b'{"step": 2, "ki{"step": 9}\n' + b"[1, 2]\n\n" + lines(*good[1:])
    (tmp_path / "journal.jsonl").write_bytes(text + b'{"step": 4, "kind": "al')
    run = read.read_run(tmp_path, "run")
    assert [row["step"] for row in run.journal] == [1, 2, 3]
    assert run.logs["journal"].damaged == (2, 3)
    assert run.logs["journal"].cut == 23
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'arm"}\n')
    run = read.read_run(tmp_path, "run", run)
    assert [row["step"] for row in run.journal] == [1, 2, 3, 4]
    assert run.logs["journal"].cut == 0 and run.logs["journal"].damaged == (2, 3)


@pytest.mark.parametrize("seed", range(4))
def test_reading_in_pieces_is_reading_at_once(tmp_path, seed):
    rng = np.random.default_rng(seed)
    rows = [{"step": i, "loss": float(rng.random()), "limit": float("inf")} for i in range(60)]
    text = lines(*rows)
    cuts = [0, *sorted(rng.integers(0, len(text), 7)), len(text)]
    file, run = tmp_path / "metrics.jsonl", None
    for start, end in zip(cuts, cuts[1:], strict=False):
        with file.open("ab") as out:
            out.write(text[start:end])
        run = read.read_run(tmp_path, "run", run)
    once = read.read_run(tmp_path, "run")
    assert run.metrics.size == once.metrics.size == 60
    np.testing.assert_array_equal(run.metrics["loss"], [row["loss"] for row in rows])
    assert run.logs == once.logs


def test_damaged_steps_have_the_numbers_of_their_lines_in_every_block(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "BLOCK", 3)
    given = [b"{" if number in (2, 5, 9) else b'{"step": %d}' % number for number in range(1, 11)]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(given) + b"\n")
    run = read.read_run(tmp_path, "run")
    assert run.metrics["step"].tolist() == [1, 3, 4, 6, 7, 8, 10]
    assert run.logs["metrics"].damaged == (2, 5, 9)


def test_values_that_are_not_finite_are_nan_and_spoil_nothing(tmp_path):
    text = b'{"step": 1, "loss": NaN, "grad_norm": 1.0}\n{"step": 2, "loss": -Infinity}\n'
    (tmp_path / "metrics.jsonl").write_bytes(text + b'{"step": 3, "loss": 2.0}\n')
    table = read.read_run(tmp_path, "run").metrics
    np.testing.assert_array_equal(table["loss"], [np.nan, np.nan, 2.0])
    assert table["grad_norm"][0] == 1.0


def test_a_file_replaced_by_a_resume_is_read_again(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(lines(*({"step": i, "loss": 5.0} for i in range(1, 9))))
    run = read.read_run(tmp_path, "run")
    new = tmp_path / "metrics.partial"
    new.write_bytes(lines(*({"step": i, "loss": 4.0} for i in range(1, 20))))
    new.replace(file)
    run = read.read_run(tmp_path, "run", run)
    assert run.metrics["step"].tolist() == list(range(1, 20))
    assert set(run.metrics["loss"]) == {4.0}


def test_steps_without_sense_are_damaged(tmp_path):
    odd = b'{"step": "x"}\n{"step": NaN}\n{"step": null}\n{"step": 1e30}\n{"loss": 1.0}\n'
    for name in ("metrics", "evaluations", "journal"):
        (tmp_path / f"{name}.jsonl").write_bytes(odd + b'\n{"step": 2.0, "kind": "x"}\n')
    run = read.read_run(tmp_path, "run")
    assert run.logs["metrics"].damaged == run.logs["evaluations"].damaged == (1, 2, 3, 4, 5)
    assert run.logs["journal"].damaged == (1, 2, 3, 4)  # it may tell of what comes before a step
    assert run.metrics["step"].tolist() == [2] and len(run.evaluations) == len(run.journal) == 1


def test_a_name_may_hold_what_looks_like_a_value(tmp_path):
    line = b'{"step": 1, "domain_loss": {"NaNo": 2.0, "Infinity pool": [NaN]}, "x":-Infinity}\n'
    (tmp_path / "metrics.jsonl").write_bytes(line)
    assert "domain_loss/NaNo" in read.read_run(tmp_path, "run").metrics.values


def test_an_empty_folder_is_a_run_that_has_not_begun(tmp_path):
    run = read.read_run(tmp_path, "run")
    assert run.metrics.size == 0 and not run.journal and not run.config


def test_foreign_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is not the folder of a run: it has none of"):
        read.read_run(tmp_path, "run")
    with pytest.raises(ValueError, match="is not a folder"):
        read.read_run(tmp_path / "nowhere", "run")
    with pytest.raises(ValueError, match="No run was given"):
        read.read_runs([])


def test_runs_of_one_name_are_told_apart(tmp_path):
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "b" / "other"]
    for path in paths:
        path.mkdir(parents=True)
    assert read.names(paths) == ["a/run", "b/run", "b/other"]
    assert read.names(paths[1:]) == ["run", "other"]
    with pytest.raises(ValueError, match="given twice"):
        read.read_runs([paths[0], tmp_path / "b" / ".." / "a" / "run"])


def test_a_broken_config_is_as_good_as_none(tmp_path):
    (tmp_path / "config.json").write_text('{"train": ')
    assert read.read_run(tmp_path, "run").config == {}
