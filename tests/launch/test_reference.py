import json

import pytest

from aquila_jax.tsm.early_warning import WarningSettings, expected_ratio
from launch import reference


def test_what_is_printed_is_the_curve_of_the_run(tmp_path, monkeypatch, capsys):
    ratios = [0.03 if step <= 40 else 0.01 for step in range(1, 401)]
    lines = [{"step": n, "sequences": 8 * n, "update_ratio": r} for n, r in enumerate(ratios, 1)]
    lines[50:50] = [line | {"update_ratio": 9.0} for line in lines[50:100]]  # left by a rewind
    for line in lines[240:260]:
        line |= {"update_ratio": 0.0, "skipped": 1}
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr("sys.argv", ["reference", str(tmp_path)])
    reference.main()
    told = {}
    exec(f"told = dict({capsys.readouterr().out})", told)
    settings = WarningSettings(reference=told["told"]["reference_ratio"])
    assert expected_ratio(settings, 0.05) == pytest.approx(0.03)
    assert expected_ratio(settings, 0.5) == pytest.approx(0.01)


def test_a_folder_without_steps_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no steps in metrics.jsonl; name the folder"):
        reference.of_run(tmp_path)
