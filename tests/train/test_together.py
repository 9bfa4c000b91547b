"""A process that dies takes the others with it in a known way, and the run goes on without it."""

import pathlib
import time

import numpy as np

from tests.train import jobs

SMALL = {
    "train.batch": 12, "schedule.total": 40 * 12, "train.checkpoint_every": 10,
    "train.evaluate_every": 0, "model.layers": 1, "mentor.mode": "off", "train.heavy_every": 1000,
}  # fmt: skip
NOTICED = 60.0  # seconds, of which it needs a few: the connection breaks with the process


def start(workdir: pathlib.Path, processes: int) -> list:
    port = jobs.free_port()
    return [
        jobs.start(
            "train", workdir, **SMALL,
            env=jobs.environment(process=i, processes=processes, port=port),
        )
        for i in range(processes)
    ]  # fmt: skip


def learned(workdir: pathlib.Path) -> tuple[list, list]:
    records = jobs.lines(workdir, "metrics.jsonl")
    return [line["domain_tokens"] for line in records], [line["loss"] for line in records]


def test_two_go_on_where_one_of_three_was_killed(tmp_path):
    """They leave with 75 and say why; data and losses are those of one process, undisturbed."""
    code, output = jobs.run("prepare", tmp_path / "one", **SMALL)
    assert code == 0, output
    code, output = jobs.run("train", tmp_path / "one", **SMALL)
    assert code == 0, output

    three = start(tmp_path / "many", 3)
    for line in three[0].stdout:
        if line.startswith("step") and int(line.split()[1]) >= 12:
            break
    three[2].kill()
    killed = time.monotonic()
    outputs = [process.communicate(timeout=300)[0] for process in three]
    assert time.monotonic() - killed < NOTICED
    assert [process.returncode for process in three[:2]] == [75] * 2, outputs
    assert all("another process is gone" in output for output in outputs[:2])

    outputs = [process.communicate(timeout=300)[0] for process in start(tmp_path / "many", 2)]
    assert "going on after step" in outputs[0], outputs
    tokens, losses = learned(tmp_path / "many")
    expected_tokens, expected_losses = learned(tmp_path / "one")
    assert tokens == expected_tokens
    np.testing.assert_allclose(losses, expected_losses, rtol=2e-3)
