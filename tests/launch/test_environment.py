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


def shell(folder: pathlib.Path, script: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)


def test_a_failed_install_is_not_taken_for_ready(project):
    python = project / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    # As a person sources it, whose shell goes on, and as a script does, which ends.
    assert shell(project, "source launch/environment.sh; echo $?").stdout.endswith("\n1\n")
    assert (
        shell(project, "set -euo pipefail; source launch/environment.sh; echo on").returncode == 1
    )
    assert not list(project.glob(".venv/.ready-*"))


def test_too_old_a_python_does_not_end_the_shell_that_sources_it(project):
    old = "PYTHON=false source launch/environment.sh; echo on"
    done = shell(project, old)
    assert done.stdout == "on\n" and "needs Python 3.11" in done.stderr
    done = shell(project, f"set -euo pipefail; {old}")
    assert (done.returncode, done.stdout) == (1, "")


def test_no_environment_is_made_outside_of_the_project(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = shell(elsewhere, f"source {project}/launch/environment.sh; echo $?")
    assert done.stdout == "1\n"
    assert "is not the folder of aquila_jax" in done.stderr and done.stderr.count("\n") == 1
    assert not list(elsewhere.iterdir())
