"""Stopping never changes the result, whatever stops the run and wherever it goes on."""

import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.train import jobs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a prepared store, in which runs live side by side."""
    folder = tmp_path_factory.mktemp("runs")
    code, output = jobs.run("prepare", folder / "whole")
    assert code == 0, output
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    """A run that was never stopped."""
    code, output = jobs.run("train", folder / "whole")
    assert code == 0, output
    assert "held-out text, bits per byte" in output
    return jobs.learned(folder / "whole")


def wait_for_step(process, step: int) -> None:
    """Reads the output until that step was reported."""
    for line in process.stdout:
        if line.startswith("step") and int(line.split()[1].replace(",", "")) >= step:
            break


# The command line, told to stop as soon as step 10 is reported: from outside it may come too late.
STOPPED = """
import os, signal, sys
from aquila_jax import cli, verbs

def say(line):
    print(line, flush=True)
    if line.startswith("step     10 "):
        os.kill(os.getpid(), signal.SIGTERM)

verbs._say = say
sys.exit(cli.main(sys.argv[1:]))
"""


def losses(workdir) -> tuple[list, list]:
    records = jobs.lines(workdir, "metrics.jsonl")
    return [r["domain_tokens"] for r in records], [r["loss"] for r in records]


def test_killed_anywhere_it_ends_bit_equal_with_the_same_journal(folder, whole):
    process = jobs.start("train", folder / "killed")
    wait_for_step(process, random.Random(0).randrange(8, jobs.STEPS))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, output = jobs.run("train", folder / "killed")
    assert code == 0, output
    assert jobs.learned(folder / "killed") == whole


def test_it_goes_on_with_other_devices_and_other_processes(folder, whole):
    """Eight devices, then two processes, then one device: the same data and losses.

    SIGTERM saves, and a launcher can tell it from a failure by the exit code.
    """
    workdir, port = folder / "moved", jobs.free_port()
    command = [sys.executable, "-c", STOPPED, *jobs.arguments("train", workdir)[3:]]
    stopped = subprocess.run(
        command, env=jobs.environment(devices=8), capture_output=True, text=True, timeout=300
    )
    assert stopped.returncode == 75, stopped.stdout + stopped.stderr
    assert "the same command goes on from there" in stopped.stdout

    pair = [
        jobs.start(
            "train", workdir, env=jobs.environment(devices=2, process=i, processes=2, port=port)
        )
        for i in range(2)
    ]
    wait_for_step(pair[0], 20)
    for process in pair:
        process.send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=180)[0] for process in pair]
    # JAX looks for the signal once a second: on a fast machine they may be done by then.
    assert [process.returncode for process in pair] in ([75, 75], [0, 0]), outputs

    code, output = jobs.run("train", workdir)
    assert code == 0, output
    tokens, loss = losses(workdir)
    expected_tokens, expected_loss = losses(folder / "whole")
    assert tokens == expected_tokens
    np.testing.assert_allclose(loss, expected_loss, rtol=2e-3)


def test_a_full_disk_during_a_save_is_told_and_nothing_half_is_left(folder):
    """A limit on file size stands in for the disk: every array is larger than it."""
    limited = ["bash", "-c", 'ulimit -f 40; exec "$@"', "bash"]
    command = limited + jobs.arguments("train", folder / "full")
    done = subprocess.run(
        command, env=jobs.environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "could not save" in done.stdout + done.stderr
    left = [path.name for path in (folder / "full" / "checkpoints").iterdir()]
    assert not [name for name in left if name.isdigit()], "half a checkpoint is taken for whole"
