"""A process that dies takes the others with it in a known way, and the run goes on without it."""

import pathlib
import subprocess
import sys
import time

import numpy as np

from tests.train import jobs, small

SMALL = {
    "train.batch": 12, "schedule.total": 400 * 12, "train.checkpoint_every": 10,
    "train.evaluate_every": 0, "model.layers": 1, "mentor.mode": "off", "train.heavy_every": 1000,
}  # fmt: skip
NOTICED = 60.0  # seconds, of which it needs a few: the connection breaks with the process


TORUS = """
import sys
from aquila_jax.train import distributed
distributed.start()
import pathlib, jax
from aquila_jax.train.loop import train
from tests.train import small
first, second = ([x for x in jax.devices() if x.process_index == i] for i in (0, 1))
order = [*first[:2], *second[:2], *first[2:], *second[2:]]
config = small.config(pathlib.Path(sys.argv[1]) / "store", mode="off")
config = small.change(config, "train", mesh={"fsdp": -1})
config = small.change(config, "schedule", total=8 * small.BATCH)
print(train(config, pathlib.Path(sys.argv[1]) / "torus", devices=order))
"""


def test_hosts_whose_rows_do_not_lie_side_by_side_read_the_same(runs):
    """As on a slice whose hosts are blocks of a torus."""
    port = jobs.free_port()
    both = [
        subprocess.Popen(
            [sys.executable, "-c", TORUS, str(runs)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
            env=jobs.environment(devices=4, process=i, processes=2, port=port),
        )
        for i in range(2)
    ]  # fmt: skip
    for process in both:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0 and "finished" in output, output
    config = small.config(runs / "store", mode="off")
    alone = small.change(config, "schedule", total=8 * small.BATCH)
    assert small.run(alone, runs / "alone") == "finished"
    tokens, losses = learned(runs / "torus")
    expected_tokens, expected_losses = learned(runs / "alone")
    assert tokens == expected_tokens
    np.testing.assert_allclose(losses, expected_losses, rtol=2e-4)


def start(workdir: pathlib.Path, processes: int) -> list:
    port = jobs.free_port()
    return [
        jobs.start(
            "train", workdir, **SMALL,
            env=jobs.environment(process=i, processes=processes, port=port),
        )
        for i in range(processes)
    ]  # fmt: skip


def saved(workdir: pathlib.Path) -> bool:
    """Whether a checkpoint is whole: a step alone says that one was begun at most."""
    return any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))


def learned(workdir: pathlib.Path) -> tuple[list, list]:
    records = jobs.lines(workdir, "metrics.jsonl")
    return [line["domain_tokens"] for line in records], [line["loss"] for line in records]


FAILS = """
import sys
from aquila_jax import cli
from aquila_jax.dmu.stream import Stream
plain = Stream.batch
def batch(self, ledger, begin, shape, rows):
    if begin >= 30 * 12:
        raise ValueError("store/web: chunk 17 is not what was written")
    return plain(self, ledger, begin, shape, rows)
Stream.batch = batch
sys.exit(cli.main(sys.argv[1:]))
"""


def test_the_one_that_fails_says_so_at_once_and_the_others_that_they_broke_off(tmp_path):
    code, output = jobs.run("prepare", tmp_path / "one", **SMALL)
    assert code == 0, output
    port, verb = jobs.free_port(), jobs.arguments("train", tmp_path / "many", **SMALL)
    both = [
        subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=jobs.environment(process=i, processes=2, port=port),
        )
        for i, line in enumerate((verb, [sys.executable, "-c", FAILS, *verb[3:]]))
    ]  # fmt: skip
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [76, 1], outputs
    assert outputs[1].strip().endswith("chunk 17 is not what was written")


def test_one_goes_on_where_the_other_was_killed(tmp_path):
    """It leaves with 76 and says why; data and losses are those of one process, undisturbed."""
    code, output = jobs.run("prepare", tmp_path / "one", **SMALL)
    assert code == 0, output
    code, output = jobs.run("train", tmp_path / "one", **SMALL)
    assert code == 0, output

    stays, dies = start(tmp_path / "many", 2)
    for line in stays.stdout:
        if line.startswith("step") and saved(tmp_path / "many"):
            break
    dies.kill()
    killed = time.monotonic()
    output, _ = (process.communicate(timeout=300)[0] for process in (stays, dies))
    assert time.monotonic() - killed < NOTICED
    assert stays.returncode == 76 and "another process is gone" in output, output

    code, output = jobs.run("train", tmp_path / "many", **SMALL)
    assert code == 0 and "going on after step" in output, output
    tokens, losses = learned(tmp_path / "many")
    expected_tokens, expected_losses = learned(tmp_path / "one")
    assert tokens == expected_tokens
    np.testing.assert_allclose(losses, expected_losses, rtol=2e-3)
