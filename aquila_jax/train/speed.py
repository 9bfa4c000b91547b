"""How fast a step is against what the hardware can do."""

import pathlib
import subprocess
import time

import jax
import jax.numpy as jnp

from aquila_jax.model.config import ModelConfig, parameters

# Dense bf16 FLOP/s of one device as JAX counts devices, from the makers' data sheets.
PEAK_FLOPS = {
    "TPU v4": 275e12, "TPU v5 lite": 197e12, "TPU v5e": 197e12, "TPU v5": 459e12, "TPU v5p": 459e12,
    "TPU v6 lite": 918e12, "TPU v6e": 918e12, "TPU7x": 1153.5e12,
    "NVIDIA A100-SXM4-40GB": 312e12, "NVIDIA A100-SXM4-80GB": 312e12, "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H100 PCIe": 756e12, "NVIDIA H200": 989e12,
}  # fmt: skip

SIZES = (512, 1024)  # of a product on a CPU


def peak_flops() -> float | None:
    """FLOP/s of all devices together: from the data sheet, or as measured here for a CPU.

    None for an accelerator whose data sheet is not known here: no figure is better than a wrong one.
    """
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return measured_flops()
    known = PEAK_FLOPS.get(devices[0].device_kind)
    return known and known * len(devices)


def measured_flops(seconds: float = 0.8) -> float:
    """FLOP/s of square float32 products on this host, which emulated devices share.

    Of the fastest product of a few sizes. Small ones pass between two turns of whatever else is at work
    on the host, which doubles the time of larger ones; large ones keep many cores busy.
    """
    each = seconds / len(SIZES)
    return max(2 * n**3 / min(_product_seconds(n, seconds=each)) for n in SIZES)


def probe_seconds(size: int = 512, times: int = 5) -> float:
    """The median time of one float32 product on this process's first device."""
    return sorted(_product_seconds(size, times=times))[times // 2]


def _product_seconds(size: int, *, seconds: float = 0.0, times: int = 1) -> list[float]:
    """Times of at least so many products one after another, for at least so long."""
    taken = []
    with jax.default_device(jax.local_devices()[0]):
        matrix = jnp.ones((size, size), jnp.float32)
        _product(matrix).block_until_ready()
        end = time.perf_counter() + seconds
        while len(taken) < times or time.perf_counter() < end:
            start = time.perf_counter()
            _product(matrix).block_until_ready()
            taken.append(time.perf_counter() - start)
    return taken


@jax.jit
def _product(matrix: jax.Array) -> jax.Array:
    return matrix @ matrix


def utilisation(tokens_per_second: float, flops_per_token: float, peak: float) -> float:
    """Model FLOP utilisation: model FLOPs per token x tokens per second / peak FLOP/s."""
    return tokens_per_second * flops_per_token / peak


def machine(model: ModelConfig) -> dict:
    """What runs, and on what, for the events."""
    return {
        "parameters": parameters(model),
        "git": revision(),
        "devices": jax.device_count(),
        "device_kind": jax.devices()[0].device_kind,
        "processes": jax.process_count(),
        "jax": jax.__version__,
    }


def revision() -> str | None:
    """The git revision of this code, marked `+` where files were changed since; None without git."""
    told = []
    for command in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno"]):
        try:
            done = subprocess.run(
                ["git", *command], cwd=pathlib.Path(__file__).parent, capture_output=True, text=True,
                timeout=10, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        told.append(done.stdout.strip())
    return told[0] + ("+" if told[1] else "")
