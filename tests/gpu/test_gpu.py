"""What only a GPU can show; skipped where there is none."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.train import jobs

pytestmark = pytest.mark.skipif(not shutil.which("nvidia-smi"), reason="no GPU here")
ON_GPU = {
    "JAX_PLATFORMS": "cuda",
    "XLA_FLAGS": "",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
HALF = {"model.compute_dtype": "bfloat16"}


def environment() -> dict:
    return os.environ | ON_GPU | {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_cudnn_gives_what_plain_products_give():
    command = [sys.executable, "-m", "tests.gpu.attend"]
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, cwd=jobs.ROOT)
    assert done.returncode == 0
    for case, errors in json.loads(done.stdout):
        assert max(errors) < 0.006, (case, errors)  # bfloat16 keeps 8 bits: .0039 at most, once


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a prepared store and a run that was never stopped."""
    folder = tmp_path_factory.mktemp("runs")
    for verb in ("prepare", "train"):
        code, output = jobs.run(verb, folder / "whole", env=environment(), **HALF)
        assert code == 0, output
    return folder


def test_it_learns(folder):
    losses = [line["loss"] for line in jobs.lines(folder / "whole", "metrics.jsonl")]
    assert losses[-1] < losses[0] - 0.5


def test_killed_and_restarted_it_ends_bit_equal(folder):
    process = jobs.start("train", folder / "killed", env=environment(), **HALF)
    for line in process.stdout:
        if line.startswith("step     4"):
            break
    process.kill()
    process.communicate()
    code, output = jobs.run("train", folder / "killed", env=environment(), **HALF)
    assert code == 0, output
    assert jobs.learned(folder / "killed") == jobs.learned(folder / "whole")


def test_moments_in_the_memory_of_the_host_change_nothing(folder):
    changes = HALF | {"optimizer.offload": "True"}
    code, output = jobs.run("train", folder / "away", env=environment(), **changes)
    assert code == 0, output
    assert jobs.learned(folder / "away")["metrics"] == jobs.learned(folder / "whole")["metrics"]
