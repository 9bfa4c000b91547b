"""Work with libtpu in a process of its own: it may abort, and it keeps memory that it had once."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

# Read when JAX and libtpu are imported: look for no TPU, and take no lock (plan.topology does).
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_LOG_DIR": "disabled",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_MIN_LOG_LEVEL": "3",
}
PERIOD = 60.0  # seconds between two signs of life


def call(function: Callable, *given: Any, say: Callable[[str], None], **named: Any) -> Any:
    """`function(*given, **named)`, all of it picklable; its ValueError or OSError is one here."""
    command = [sys.executable, "-m", "aquila_jax.plan.child"]
    files = (tempfile.TemporaryFile() for _ in range(3))
    with next(files) as job, next(files) as answer, next(files) as words:
        pickle.dump((function, given, named), job)
        job.seek(0)
        environment = os.environ | ENVIRONMENT
        child = subprocess.Popen(command, stdin=job, stdout=answer, stderr=words, env=environment)
        try:
            _wait(child, say)
        finally:
            child.kill()
            child.wait()
        answer.seek(0)
        if child.returncode == 0:
            kind, value = pickle.load(answer)
            if kind == "refused":
                raise ValueError(value)
            return value
        words.seek(0)
        said = words.read().decode(errors="replace").strip() or "nothing"
        raise ValueError(
            f"TPU's compiler ended with code {child.returncode} before it was done "
            f"(-9: killed, most likely for its memory), saying: {said[-2000:]}"
        )


def _wait(child: subprocess.Popen, say: Callable[[str], None]) -> None:
    begun = time.monotonic()
    while True:
        try:
            child.wait(PERIOD)
            return
        except subprocess.TimeoutExpired:
            say(f"  compiling for {time.monotonic() - begun:.0f} s")


def _main() -> None:
    """The child: a job comes in, an answer goes out, and nothing else does."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    function, given, named = pickle.load(sys.stdin.buffer)
    try:
        answer = "value", function(*given, **named)
    except (ValueError, OSError) as error:
        answer = "refused", str(error)
    with out:
        pickle.dump(answer, out)


if __name__ == "__main__":
    _main()
