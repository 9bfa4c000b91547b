"""Setting up: what is asked of the installer, and how often."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path):
    """A copy whose environment's python only writes down what it was asked for."""
    (tmp_path / "launch").mkdir()
    shutil.copy(ROOT / "launch" / "environment.sh", tmp_path / "launch")
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> asked.txt\n')
    python.chmod(0o755)
    return tmp_path


def source(project: pathlib.Path, extras: str) -> list[str]:
    """Sources it as a launch script with arguments of its own does; what was asked for so far."""
    script = f'set -euo pipefail; {extras} source launch/environment.sh; test "$1" = config.py'
    subprocess.run(["bash", "-c", script, "local.sh", "config.py"], cwd=project, check=True)
    return (project / "asked.txt").read_text().splitlines()


def test_the_arguments_of_the_script_are_not_taken_for_extras(project):
    [asked] = source(project, "")
    assert asked.endswith("-e .")


def test_each_set_of_extras_is_installed_once_for_each_state_of_the_project(project):
    assert source(project, "EXTRAS=test")[-1].endswith("-e .[test]")
    assert len(source(project, "EXTRAS=test")) == 1
    assert len(source(project, "")) == 2
    assert len(source(project, "EXTRAS=test")) == 2


def test_a_state_that_comes_back_is_installed_again(project):
    requirements = project / "requirements.txt"
    before = requirements.read_text()
    source(project, "")
    requirements.write_text(before + "another\n")
    assert len(source(project, "")) == 2
    requirements.write_text(before)
    assert len(source(project, "")) == 3


@pytest.mark.parametrize(
    ("arguments", "workdir", "settings"),
    [
        ([], "runs/tiny", ""),
        (["configs/mine.py"], "runs/mine", ""),
        (["configs/mine.py", "runs/other", "--config.a=1"], "runs/other", " --config.a=1"),
        (["configs/mine.py", "--config.a=1", "--config.b=2"], "runs/mine", " --config.a=1 --config.b=2"),
        (["--config.a=1"], "runs/tiny", " --config.a=1"),
    ],
)  # fmt: skip
def test_a_setting_of_the_main_job_is_not_taken_for_its_workdir(
    project, arguments, workdir, settings
):
    shutil.copy(ROOT / "launch" / "local.sh", project / "launch")
    (project / "configs").mkdir()
    config = arguments[0] if arguments and arguments[0][0] != "-" else "configs/tiny.py"
    (project / config).touch()
    subprocess.run(["bash", "launch/local.sh", *arguments], cwd=project, check=True)
    _, prepare, train, report = (project / "asked.txt").read_text().splitlines()
    assert prepare == f"-m aquila_jax prepare --config={config} --workdir={workdir}{settings}"
    assert train == prepare.replace("prepare", "train")
    assert report == f"-m aquila_jax report --workdir={workdir}"
