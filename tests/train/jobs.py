"""Real runs of the command line in processes of their own, small enough to start many."""

import json
import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS, BATCH = 96, 8
SETTINGS = {
    "model.layers": 2, "model.embed": 32, "model.ffn": 64, "model.head_dim": 8, "model.vocab": 512,
    "model.loss_chunks": 1, "prepare.vocab_size": 512, "prepare.processes": 1,
    "data.sample_megabytes": 0.3, "data.length": 32, "schedule.warmup": 4 * BATCH,
    "schedule.total": STEPS * BATCH, "train.batch": BATCH, "train.heavy_every": 10,
    "train.evaluate_every": 48, "train.checkpoint_every": 16, "train.report_seconds": 0.0,
    "evaluate.heldout_tokens": 300, "evaluate.questions": "()", "train.writers": "()",
}  # fmt: skip


def arguments(verb: str, workdir: pathlib.Path, **changes) -> list[str]:
    settings = SETTINGS | {"data.store": str(workdir.parent / "store")} | changes
    flags = [f"--config.{key}={value}" for key, value in settings.items()]
    own = [f"--config={ROOT}/configs/tiny.py", f"--workdir={workdir}"]
    return [sys.executable, "-m", "aquila_jax", verb, *own, *flags]


def environment(*, devices: int = 1, process: int = 0, processes: int = 1, port: int = 0) -> dict:
    flags = os.environ["XLA_FLAGS"].replace("device_count=8", f"device_count={devices}")
    more = {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    if processes > 1:
        more |= {"AQUILA_COORDINATOR": f"127.0.0.1:{port}"}
        more |= {"AQUILA_PROCESSES": str(processes), "AQUILA_PROCESS": str(process)}
    return os.environ | more


def start(verb: str, workdir: pathlib.Path, *, env: dict | None = None, **changes):
    return subprocess.Popen(
        arguments(verb, workdir, **changes),
        env=env or environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(verb: str, workdir: pathlib.Path, **kwargs) -> tuple[int, str]:
    """Exit code and everything printed."""
    process = start(verb, workdir, **kwargs)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def lines(workdir: pathlib.Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (workdir / name).read_text().splitlines()]


def learned(workdir: pathlib.Path) -> dict:
    """What must not depend on when a run was stopped: the parameters' bits, and the records."""
    steps = sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())
    saved = workdir / "checkpoints" / str(steps[-1]) / "host" / "metadata"
    untimed = ("time", "step_seconds", "tokens_per_second", "mfu")
    return {
        "step": steps[-1],
        "fingerprint": json.loads(saved.read_text())["fingerprint"],
        "journal": (workdir / "journal.jsonl").read_bytes(),
        "metrics": [
            {key: value for key, value in line.items() if key not in untimed}
            for line in lines(workdir, "metrics.jsonl")
        ],
        "evaluations": lines(workdir, "evaluations.jsonl"),
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
