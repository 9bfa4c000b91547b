"""Looking at a finished run from outside, by the verbs."""

import json
import shutil

import numpy as np
import pytest

from aquila_jax import cli, verbs
from aquila_jax.train import look
from tests.train import small


@pytest.fixture(scope="module")
def workdir(runs):
    assert small.run(small.config(runs / "store"), runs / "looked-at") == "finished"
    return runs / "looked-at"


@pytest.fixture
def command(capsys):
    """Runs a verb; gives its exit code and all that it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.main([*arguments])
        return code, "".join(capsys.readouterr())

    return run


def test_evaluate_says_what_the_run_said(workdir, command):
    code, output = command("evaluate", "--workdir", str(workdir), "--json")
    assert code == 0, output
    now, then = json.loads(output.splitlines()[-1]), small.lines(workdir, "evaluations")[-1]
    assert now["step"] == then["step"] == small.STEPS
    np.testing.assert_allclose(
        now["mean"]["bits_per_byte"], then["mean"]["bits_per_byte"], rtol=1e-6
    )


def test_trace_names_documents_whose_text_is_in_the_sample(workdir, command):
    code, output = command("trace", "--workdir", str(workdir), "--step", "3")
    assert code == 0, output
    rows = [line for line in output.splitlines() if line.startswith("sequence")]
    sequences = {int(row.split()[1]) for row in rows}
    assert sequences == set(range(16, 24))  # the third step of 8 sequences


def test_replay_reaches_the_journal_again(workdir, command):
    code, output = command("replay", "--workdir", str(workdir))
    assert code == 0 and "bit for bit" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trace", "--step", "99"), "has no step 99"),
        (("evaluate", "--step", "99"), "has no checkpoint of step 99"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(workdir, command, arguments, message):
    verb, *rest = arguments
    code, output = command(verb, "--workdir", str(workdir), *rest)
    assert code == 1 and message in output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "q.jsonl cannot be read (No such file or directory); name a file"),
        ('{"lang": ', "q.jsonl:1 is no multiple-choice item"),
    ],
)
def test_questions_are_read_before_a_model_is_waited_for(
    workdir, command, tmp_path, monkeypatch, content, message
):
    monkeypatch.setattr(look, "restore", None)
    if content is not None:
        (tmp_path / "q.jsonl").write_text(content)
    asked = ("--questions", str(tmp_path / "q.jsonl"))
    code, output = command("evaluate", "--workdir", str(workdir), *asked)
    assert code == 1 and message in output


@pytest.mark.parametrize("verb", ["evaluate", "replay"])
@pytest.mark.parametrize(
    ("content", "message"),
    [('{"name": ', "config.json cannot be read"), (None, "is no run: it has no config.json")],
)
def test_a_configuration_that_is_damaged_or_gone_is_named(
    workdir, command, tmp_path, verb, content, message
):
    shutil.copy(workdir / "journal.jsonl", tmp_path)
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    code, output = command(verb, "--workdir", str(tmp_path))
    assert code == 1 and message in output and str(tmp_path) in output


@pytest.mark.parametrize(
    ("name", "message"), [("", "folder is empty; give one"), (__file__, "is a file where a folder")]
)
@pytest.mark.parametrize("verb", ["replay", "evaluate", "report"])
def test_a_workdir_that_is_no_folder_is_named(capsys, verb, name, message):
    with pytest.raises(SystemExit) as left:
        cli.main([verb, "--workdir", name])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_an_interruption_is_a_sentence(command, monkeypatch):
    def interrupted(options, settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "replay", interrupted)
    code, output = command("replay", "--workdir", "runs/any")
    assert code == 130 and "the same command may be run again" in output
