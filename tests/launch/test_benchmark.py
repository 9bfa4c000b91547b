import contextlib
import subprocess
import sys

import pytest

from launch import benchmark


def speeds(**contestants):
    """The result of two rounds, the second on a machine that is half as fast."""
    told = {name: [speed, speed / 2] for name, speed in contestants.items()}
    return {"tokens_per_second": told, "peak_flops": [4e9, 4e9], "flops_per_token": 1e6}


def row(lines, kind):
    return next(line for line in lines if line.startswith(f"| {kind} "))


def test_ratios_are_taken_round_by_round():
    lines = benchmark.table("A", speeds(loop=1800, step=2000, torch=500, torch_compiled=1000))
    assert row(lines, "step") == "| step | 1,500 (1,000 to 2,000) | 0.38 | 2.00 |"
    assert row(lines, "torch") == "| torch | 375 (250 to 500) | 0.09 | 0.50 |"
    assert lines[-1] == "peak 4 GFLOP/s; loop / step: 0.900"


def test_each_round_has_its_own_better_rival():
    result = speeds(step=1000, torch=500, torch_compiled=500)
    result["tokens_per_second"] |= {"torch": [500, 125], "torch_compiled": [250, 250]}
    assert row(benchmark.table("A", result), "step").endswith("| 2.00 |")


@pytest.mark.parametrize("code", ["", "input()"])
def test_a_contestant_that_dies_between_turns_or_in_one_tells_nothing(code):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        if not code:
            process.wait()
        assert benchmark.asked(process, "1.0\n") == ""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def test_models_that_need_a_gpu_are_refused_where_none_is_known(monkeypatch):
    benchmark.check(["A", "B"])
    monkeypatch.setattr(benchmark, "gpu", lambda: None)
    with pytest.raises(SystemExit, match="No GPU here"):
        benchmark.check(["1B"])
    monkeypatch.setattr(benchmark, "gpu", lambda: "Abacus 9000")
    with pytest.raises(SystemExit, match="Abacus 9000 has no peak"):
        benchmark.check(["1B"])
