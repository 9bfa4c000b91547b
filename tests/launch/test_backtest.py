import json
import types

import numpy as np
import pytest

from aquila_jax.tsm import band, law
from launch import backtest, recorded, scores


@pytest.fixture(scope="module")
def published(curves):
    runs = recorded.read_curves(curves)
    return runs, scores.summary(backtest.backtest(runs))


def test_the_bar_on_published_curves(published):
    """0.010 nats from 40 % of the run on, the prior from the other size only."""
    runs, rows = published
    assert [row["runs"] for row in rows] == [12, 18, 18, 18, 18, 18]
    for row in rows:
        errors = row["errors"]
        assert errors["law, proxy prior"]["mean"] <= (0.012 if row["origin"] < 0.4 else 0.010)
        assert row["skill"] > 0.5
        assert (
            row["origin"] < 0.9 or errors["law, proxy prior"]["p90"] < 0.01
        )  # the decay acts at once
        assert all(spread["failed"] == 0 for spread in errors.values())
    inside = sum(row["coverage"]["proxy"] * row["runs"] for row in rows)
    assert 0.85 <= inside / sum(row["runs"] for row in rows) <= 0.97


def test_priors_never_come_from_the_target_s_own_size(published):
    runs, _ = published
    for run in runs:
        proxies = [other for other in runs if backtest._apart(run, other)]
        assert {other.fold for other in proxies} == {"25", "100"} - {run.fold}


def test_the_shipped_calibration_is_that_of_the_back_test(published):
    runs, _ = published
    path = backtest.pathlib.Path(backtest.__file__).parents[1] / "aquila_jax/tsm/calibration.json"
    made = backtest.calibration(tuple(runs), without="", source="proxy")
    shipped = np.array(json.loads(path.read_text())["curves"]["proxy"])
    np.testing.assert_allclose(shipped, made.kinds[0], atol=2e-3)


def write_run(folder, seed, *, steps=900, evaluations=False):
    """A working directory as training leaves it, of a run that follows the law."""
    rng = np.random.default_rng(seed)
    every = np.arange(1, steps + 1)
    decay = rng.uniform(0.1, 0.4)
    rate = np.minimum(every / 50, 1) * np.minimum((steps - every + 1) / (decay * steps), 1)
    plan = law.Plan(learning_rate=rate, batch=np.full(steps, 8), warmup=50)
    where = law.coordinates(plan, law.memory(steps))
    truth = law.Parameters(3 + 0.2 * rng.standard_normal(), 1.5, 0.45, 0.13)
    loss = law.curve(truth, where.progress, where.annealing)
    noisy = loss + 0.03 * rng.standard_normal(steps)
    lines = [
        {"step": int(n), "loss": noisy[n - 1], "learning_rate": rate[n - 1], "batch": 8, "skipped": int(n == 500),
         "sequences": 8 * int(n), "tokens": 8 * 63.5 * int(n)}
        for n in every
    ]  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "summary.json").write_text(json.dumps({"parameters": 1e6}))
    if evaluations:
        at = every[9::10]
        found = [
            {"step": int(n), "kind": "heldout", "domains": {"en": {"nats_per_token": loss[n - 1]}}}
            for n in at
        ]
        (folder / "evaluations.jsonl").write_text("".join(json.dumps(x) + "\n" for x in found))


def test_working_directories_are_tuned_on_one_half_and_told_of_the_other(
    tmp_path, monkeypatch, capsys
):
    for seed in range(16):
        write_run(tmp_path / "runs" / f"run{seed:02}", seed)
    output, shipped = tmp_path / "out.json", tmp_path / "calibration.json"
    shipped.write_text(json.dumps({"curves": {"proxy": [1.0]}}))
    monkeypatch.setattr(
        "sys.argv",
        ["backtest", "--runs", str(tmp_path / "runs"), "--output", str(output), "--calibration", str(shipped)],
    )  # fmt: skip
    backtest.main()
    assert "| law, proxy prior |" in capsys.readouterr().out
    result = json.loads(output.read_text())
    assert {record["run"] for record in result["records"]} == {
        f"run{n:02}" for n in range(1, 16, 2)
    }
    assert all(record["calibrated_on"] >= band.MIN_FORECASTS for record in result["records"])
    for row in result["summary"]:
        assert row["errors"]["law, proxy prior"]["mean"] < 0.03
    known = json.loads(shipped.read_text())
    assert known["curves"] == {"proxy": [1.0]}
    assert {name: len(found) for name, found in known["runs"].items()} == {
        "proxy": 40,
        "default": 40,
    }


def test_a_run_s_own_forecasts_do_not_widen_its_band(monkeypatch):
    told = {f"run{n}": [0.1 * n] * 3 for n in range(9)} | {"wild": [9.0] * 3}
    runs = tuple(types.SimpleNamespace(name=name) for name in told)
    monkeypatch.setattr(backtest, "_scores", lambda run, others, source: told[run.name])
    assert backtest.left_out(runs, "proxy") == 0.9
    assert backtest.left_out(runs[:3], "proxy") is None


def test_frequent_evaluations_are_preferred_and_skipped_steps_left_out(tmp_path):
    write_run(tmp_path / "a", 0, evaluations=True)
    write_run(tmp_path / "b", 0)
    held_out, trained = recorded.read_workdirs(tmp_path)
    assert (held_out.kind, len(held_out.steps), held_out.fold) == ("evaluations", 90, "tune")
    assert (trained.kind, np.isfinite(trained.loss).sum()) == ("training", 899)
    assert trained.fold == "test"
    assert held_out.plan.warmup == trained.plan.warmup == 49
    assert held_out.final == pytest.approx(trained.final, abs=0.03)
    assert held_out.seen(500).steps[-1] == 500


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "metrics.jsonl").unlink(), "holds no run"),
        (lambda run: (run / "summary.json").unlink(), "'parameters'"),
        (
            lambda run: (run / "metrics.jsonl").write_text('{"step": 2, "learning_rate": 1}\n'),
            "gaps",
        ),
    ],
)
def test_broken_runs_are_named(tmp_path, spoil, message):
    write_run(tmp_path / "run", 0, steps=400)
    spoil(tmp_path / "run")
    with pytest.raises(ValueError, match=message):
        recorded.read_workdirs(tmp_path)


def test_curves_folder_without_curves(tmp_path):
    with pytest.raises(ValueError, match="holds no curve"):
        recorded.read_curves(tmp_path)


def test_multi_power_annealing_is_the_paper_s_sum():
    steps = 300
    rate = np.linspace(1, 0.1, steps)
    plan = law.Plan(learning_rate=rate, batch=np.ones(steps), warmup=0)
    found = scores.multi_power_annealing(plan)
    for t in (10, 150, 299):
        total = 0.0
        for k in range(1, t + 1):
            since = rate[k + 1 : t + 1].sum()
            kernel = 1 + scores.KERNEL_SCALE * rate[k] ** -scores.KERNEL_RATE * since
            total += (rate[k - 1] - rate[k]) * (1 - kernel**-scores.KERNEL_EXPONENT)
        assert found[t] == pytest.approx(total, rel=1e-6)
