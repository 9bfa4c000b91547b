import json

import pytest

from launch import decay_study, runs_study


def write_run(folder, loss, decisions=()):
    folder.mkdir(parents=True)
    lines = [
        {"step": n, "loss": loss + (n <= 98), "learning_rate": 1e-3, "batch": 8, "skipped": 0,
         "sequences": 8 * n, "tokens": 504 * n}
        for n in range(1, 101)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "summary.json").write_text(json.dumps({"parameters": 1e6}))
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in decisions))


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Finished runs, each of which ends at a loss of its own; none is trained here."""
    monkeypatch.setattr(runs_study, "make", lambda config, folder: 0.0)
    for number, name in enumerate(runs_study.runs()):
        write_run(tmp_path / "runs" / name, 4.0 + number / 100)
    moved = {"kind": "decision", "step": 500, "rule": "start_decay", "control": {}, "evidence": {}}
    for seed in runs_study.SEEDS["small"]:
        for number, mixture in enumerate(runs_study.MIXTURES):
            write_run(tmp_path / "decay" / f"{mixture}-{seed}", 3.0 + seed + number / 10, [moved])
    return tmp_path


def test_each_run_is_laid_beside_its_plan_and_its_twin(work, monkeypatch):
    output = work / "told.json"
    monkeypatch.setattr("sys.argv", ["x", "--work", str(work), "--output", str(output)])
    decay_study.main()
    told = json.loads(output.read_text())
    assert len(told) == 8
    number = {one: n for n, one in enumerate(runs_study.runs().values())}
    for one in told:
        run = one["mixture"], one["seed"]
        own = 3.0 + one["seed"] + runs_study.MIXTURES.index(one["mixture"]) / 10
        assert one["mentor"] == pytest.approx(own)
        for share in ("10", "20"):
            planned = 4.0 + number[f"wsd{share}", "small", *run] / 100
            assert one[f"planned {share} %"] == pytest.approx(planned)
        assert one["decisions"] == [[500, "start_decay", {}, {}]]
