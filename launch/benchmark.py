"""Measures training speed in interleaved rounds; see launch/benchmark.sh.

Every contestant is a process of its own that has compiled and warmed up, and sleeps while the
others run. In each round each runs for the same number of seconds, one after another, so that
what else the machine does falls on all of them alike; ratios are taken round by round. A turn
ends when the steps that were started are done: they would else run in the turn of the next.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from launch import kept, kernels, stream_speed
from launch.contestants import CPU, GPU, SHAPES, Shape

FILE = Path("docs/results/benchmark.json")
WARM = 4  # steps before the first turn
PROFILE = "profile\n"  # what a contestant may be asked instead of a turn


def contend(kind: str, name: str, folder: Path) -> None:
    """The life of a contestant: warm up, then run for as long as each line asked says."""
    once, finish = (GPU if SHAPES[name].gpu else CPU)[kind](SHAPES[name], folder)
    for _ in range(WARM):
        once()
    finish()
    print("ready", flush=True)
    for line in sys.stdin:
        if line == PROFILE:
            print(json.dumps(kernels.profile(once, finish)), flush=True)
            continue
        start, tokens = time.perf_counter(), 0
        while time.perf_counter() - start < float(line):
            tokens += once()
        finish()
        print(tokens / (time.perf_counter() - start), flush=True)


def started(kind: str, name: str, folder: Path) -> subprocess.Popen:
    """A contestant that is ready; one at a time, since compilers would only wait for each other."""
    command = [sys.executable, "-m", "launch.benchmark", "--contend", kind, name, str(folder)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    if share := SHAPES[
        name
    ].gpu:  # both are on it: XLA has its part in one piece, neither wastes any
        environment |= {"JAX_PLATFORMS": "cuda", "XLA_CLIENT_MEM_FRACTION": str(share)}
        environment |= {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    while (line := process.stdout.readline()) != "ready\n":
        if not line:
            raise SystemExit(f"{kind} did not start; run: {' '.join(command)}")
    return process


def compare(name: str, rounds: int, seconds: float, folder: Path) -> dict:
    """Tokens per second of each contestant in each round, and the peak beside them."""
    from aquila_jax.model.config import ModelConfig, flops_per_token

    shape = SHAPES[name]
    processes = {kind: started(kind, name, folder) for kind in (GPU if shape.gpu else CPU)}
    speeds, peaks = {kind: [] for kind in processes}, []
    for number in range(rounds):
        peaks.append(peak(shape))
        for kind, process in processes.items():
            if not (told := asked(process, f"{seconds}\n")):
                raise SystemExit(f"{kind} on {name} died in round {number + 1}; see above.")
            speeds[kind].append(float(told))
        print(number + 1, {kind: round(values[-1]) for kind, values in speeds.items()}, flush=True)
    flops = flops_per_token(ModelConfig(**shape.model), shape.length)
    found = {"tokens_per_second": speeds, "peak_flops": peaks, "flops_per_token": flops}
    if shape.gpu:
        found |= {"gpu": gpu(), "software": {name: version(name) for name in ("jax", "torch")}}
        found["kernels"] = json.loads(asked(processes["step"], PROFILE))
    for process in processes.values():
        process.kill()
    return found


def asked(process: subprocess.Popen, line: str) -> str:
    """What one turn came to, as it is printed; nothing where the process is dead."""
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def peak(shape: Shape) -> float:
    """FLOP/s of the GPU by its data sheet, or of products measured now on this CPU."""
    from aquila_jax.train.speed import PEAK_FLOPS, measured_flops

    return PEAK_FLOPS[gpu()] if shape.gpu else measured_flops(1.0)


def gpu() -> str | None:
    """The name of the first GPU; None where there is none."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        names = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return names.splitlines()[0].strip() if names.strip() else None


def table(name: str, result: dict) -> list[str]:
    """Medians, spread, and ratios round by round."""
    speeds, peak = result["tokens_per_second"], statistics.median(result["peak_flops"])
    rivals = [values for kind, values in speeds.items() if kind.startswith("torch")]
    best = [max(each) for each in zip(*rivals, strict=True)]
    lines = [
        f"| {name} | tokens/s, median (range) | of the peak | to the better PyTorch |",
        "|---|---|---|---|",
    ]
    for kind, values in speeds.items():
        ratio = statistics.median(v / b for v, b in zip(values, best, strict=True))
        share = statistics.median(values) * result["flops_per_token"] / peak
        span = f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
        lines.append(f"| {kind} | {span} | {share:.2f} | {ratio:.2f} |")
    lines += ["", f"peak {peak / 1e9:,.0f} GFLOP/s"]
    if "loop" in speeds:
        pairs = zip(speeds["loop"], speeds["step"], strict=True)
        lines[-1] += f"; loop / step: {statistics.median(a / b for a, b in pairs):.3f}"
    if "kernels" in result:
        spent = kernels.by_kind(result["kernels"]).items()
        lines.append("a step's milliseconds: " + ", ".join(f"{k} {ms:.1f}" for k, ms in spent))
    return lines


def main() -> None:
    """Runs what was asked for and merges it into the result file."""
    options = _options()
    if options.contend:
        kind, name, folder = options.contend
        contend(kind, name, Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.stream:
            found = {"stream": stream_speed.measure(Path(folder))}
        else:
            check(options.models)
            found = measure(options, Path(folder))
    kept.write(FILE, kept.read(FILE, {}) | found)


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """What each model's contestants came to, which is also printed."""
    found = {}
    for name in options.models:
        found[name] = compare(name, options.rounds, options.seconds, folder / name)
        print("\n".join(table(name, found[name])))
    return found


def check(models: list[str]) -> None:
    """Refuses models that cannot be measured here, before anything is compiled."""
    from aquila_jax.train.speed import PEAK_FLOPS

    if not any(SHAPES[name].gpu for name in models):
        return
    if not (found := gpu()):
        raise SystemExit(f"No GPU here: {' and '.join(models)} need one; nothing measured.")
    if found not in PEAK_FLOPS:
        raise SystemExit(f"{found} has no peak in train/speed.py; add it from its data sheet.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=[*SHAPES], default=["A", "B"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--stream", action="store_true", help="the stream only")
    parser.add_argument("--contend", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
