"""Looking at a finished run from outside."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.train import jobs


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("look") / "run"
    changes = {"schedule.total": 64, "schedule.warmup": 8, "train.checkpoint_every": 4}
    for verb in ("prepare", "train"):
        code, output = jobs.run(verb, folder, **changes)
        assert code == 0, output
    return folder


def command(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "aquila_jax", *arguments],
        env=jobs.environment(), capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_evaluate_says_what_the_run_said(workdir):
    code, output = command("evaluate", "--workdir", str(workdir), "--json")
    assert code == 0, output
    now, then = json.loads(output.splitlines()[-1]), jobs.lines(workdir, "evaluations.jsonl")[-1]
    assert now["step"] == then["step"] == 8
    np.testing.assert_allclose(
        now["mean"]["bits_per_byte"], then["mean"]["bits_per_byte"], rtol=1e-6
    )


def test_trace_names_documents_whose_text_is_in_the_sample(workdir):
    code, output = command("trace", "--workdir", str(workdir), "--step", "3")
    assert code == 0, output
    rows = [line for line in output.splitlines() if line.startswith("sequence")]
    sequences = {int(row.split()[1]) for row in rows}
    assert sequences == set(range(16, 24))  # the third step of 8 sequences


def test_replay_reaches_the_journal_again(workdir):
    code, output = command("replay", "--workdir", str(workdir))
    assert code == 0 and "bit for bit" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trace", "--step", "99"), "has no step 99"),
        (("evaluate", "--step", "99"), "has no checkpoint of step 99"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(workdir, arguments, message):
    verb, *rest = arguments
    code, output = command(verb, "--workdir", str(workdir), *rest)
    assert code == 1 and message in output and "Traceback" not in output
