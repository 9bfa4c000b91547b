"""A process of its own for libtpu: answers come back, whatever becomes of the process."""

import os
import subprocess
import sys
import textwrap

import pytest

from aquila_jax.plan import child, topology


@pytest.mark.parametrize(
    ("function", "argument", "words"),
    [
        (int, "x", "invalid literal"),
        (os._exit, 7, "ended with code 7"),
        (len, 3, "has no len"),
        (os.listdir, "/nope", r"^\[Errno 2\] No such file or directory: '/nope'$"),
    ],
)
def test_what_goes_wrong_in_the_child_is_one_error_here(function, argument, words):
    with pytest.raises(ValueError, match=words):
        child.call(function, argument, say=print)


def test_an_answer_comes_back_and_signs_of_life_before_it(monkeypatch):
    monkeypatch.setattr(child, "PERIOD", 0.05)
    told = []
    slow = "sleep 0.5; echo $TPU_SKIP_MDS_QUERY"  # a child may be there at once
    assert child.call(subprocess.getoutput, slow, say=told.append) == "1"
    assert "compiling for" in told[0]


def test_a_second_plan_at_once_is_refused_and_a_killed_one_leaves_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(topology, "LOCK", tmp_path / "lock")
    program = textwrap.dedent(f"""
        import fcntl
        with open({str(topology.LOCK)!r}, "a+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            print("held", flush=True)
            input()
    """)
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match="another process is at work.*run this again"):
            with topology.alone():
                pass
        other.kill()
    with topology.alone():
        pass


def test_a_machine_without_libtpu_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"not installed; pip install -e '.\[tpu\]'"):
        topology.require()
