"""TPU slices as the compiler describes them on a machine that has none."""

import contextlib
import fcntl
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental import topologies

from aquila_jax.plan.chips import Slice

# libtpu's own lock, there whatever TMPDIR says: a training on a TPU of this machine holds it.
LOCK = Path("/", "tmp", "libtpu_lockfile")


def require() -> None:
    """ValueError if libtpu is missing."""
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(
            "plan needs libtpu, the compiler for TPU, which is not installed; "
            "pip install -e '.[tpu]' brings the one to this JAX (no TPU is needed)."
        )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Holds libtpu's lock; ValueError if someone else does.

    One compilation takes several gigabytes and all cores: two at once finish later than one
    after the other. The kernel frees the lock of a process that dies.
    """
    with open(LOCK, "a+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"another process is at work with libtpu (it holds {LOCK}): a plan that compiles, "
                "or a training; run this again when it is done. What is compiled is kept."
            ) from error
        yield


def devices(slice_: Slice) -> list:
    """The slice's devices: they can be compiled for, not run on."""
    jax.config.update("jax_platforms", "cpu")
    described = topologies.get_topology_desc(
        slice_.layout, platform="tpu", num_slices=slice_.slices
    )
    found = list(described.devices)
    if len(found) != slice_.devices:
        raise ValueError(
            f"libtpu describes {slice_.slices} x {slice_.layout} with {len(found)} devices, not the "
            f"{slice_.devices} of {slice_.name}; another version of libtpu is needed."
        )
    return found
