"""Where a step's time goes on a GPU: JAX's profile of a few steps, summed by kernel."""

import collections
import tempfile
from collections.abc import Callable
from pathlib import Path

STEPS = 3
KINDS = {  # what a kernel's name holds
    "products": ("nvjet", "gemm", "cutlass", "xmma"),
    "attention": ("sdpa", "cudnn", "flash", "fmha"),
    "copies": ("memcpy", "Memcpy", "memset", "Memset"),
}


def profile(once: Callable[[], int], finish: Callable[[], object]) -> list[dict]:
    """Milliseconds and calls a step of each kernel, longest first."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(STEPS):
                once()
            finish()
        file = next(Path(folder).rglob("*.xplane.pb"))
        return summed(jax.profiler.ProfileData.from_file(str(file)))


def summed(data) -> list[dict]:
    """Of all streams of all GPUs."""
    nanoseconds, calls = collections.Counter(), collections.Counter()
    for plane in data.planes:
        for line in plane.lines:
            if "GPU" in plane.name and line.name.startswith("Stream"):
                for event in line.events:
                    nanoseconds[event.name] += event.duration_ns
                    calls[event.name] += 1
    return [
        {"kernel": name, "milliseconds": spent / STEPS / 1e6, "calls": calls[name] / STEPS}
        for name, spent in nanoseconds.most_common()
    ]


def by_kind(kernels: list[dict]) -> dict[str, float]:
    """Milliseconds a step of matrix products, attention, copies and everything else."""
    sums = dict.fromkeys((*KINDS, "everything else"), 0.0)
    for row in kernels:
        kind = next(
            (k for k, words in KINDS.items() if any(w in row["kernel"] for w in words)), None
        )
        sums[kind or "everything else"] += row["milliseconds"]
    return sums
