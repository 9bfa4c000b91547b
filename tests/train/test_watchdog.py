import subprocess
import sys

import pytest

PROGRAM = """
import time
from aquila_jax.train.watchdog import Watchdog
dog = Watchdog(2.0, lambda seconds, stacks: print("told", seconds, stacks, flush=True))
{body}
dog.close()
print("closed")
"""

CASES = {
    "a step that hangs": ("dog.arm(); dog.rest(); dog.arm(); time.sleep(60)", 75),
    "what is no step": ("dog.arm(); dog.rest(); time.sleep(3)", 0),
    "a wait that hangs": ("dog.during(time.sleep, 60)", 75),
    "a wait that ends": ("assert dog.during(len, 'abc') == 3; time.sleep(3)", 0),
    "many short steps": ("for _ in range(60): dog.arm(); time.sleep(0.05); dog.rest()", 0),
    "many in a row": ("for _ in range(60): dog.arm(); time.sleep(0.05)", 0),
}


@pytest.mark.parametrize(("body", "code"), CASES.values(), ids=CASES)
def test_only_a_step_that_hangs_ends_the_process(body, code):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    if code:
        assert "told 2.0" in done.stdout
        assert "most recent call first" in done.stdout and done.stderr
    else:
        assert "closed" in done.stdout
