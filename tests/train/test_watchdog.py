import subprocess
import sys

import pytest

PROGRAM = """
import time
from aquila_jax.train.watchdog import Watchdog
dog = Watchdog(0.5, lambda seconds, stacks: print("told", seconds, stacks, flush=True))
{body}
dog.close()
print("closed")
"""

CASES = {
    "a step that hangs": ("dog.arm(); dog.done(); dog.arm(); time.sleep(9)", 75),
    "the first one, which compiles": ("dog.arm(); time.sleep(1); dog.done()", 0),
    "a pause between two steps": ("dog.arm(); dog.done(); dog.arm(); dog.rest(); time.sleep(1)", 0),
    "many short steps": ("for _ in range(20): dog.arm(); time.sleep(0.05); dog.done()", 0),
}


@pytest.mark.parametrize(("body", "code"), CASES.values(), ids=CASES)
def test_only_a_step_that_hangs_ends_the_process(body, code):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    if code:
        assert "told 0.5" in done.stdout
        assert "most recent call first" in done.stdout and done.stderr
    else:
        assert "closed" in done.stdout
