"""Several processes as one program."""

import contextlib
import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator

import jax

from aquila_jax.train import rollcall

JOIN_SECONDS = 300.0
GONE = 76  # exit code: another process explains why this one broke off
# How gloo, gRPC and JAX's coordination speak of a process that does not answer. Any other error
# would come again, so that nothing is gained by running the same command.
_GONE = re.compile(r"gloo|connection|unavailable|heartbeat|deadline|coordination", re.IGNORECASE)


def start() -> None:
    """Joins the other processes, where the environment says that there are any.

    AQUILA_COORDINATOR=HOST:8476 with AQUILA_PROCESSES and AQUILA_PROCESS names them; on a TPU
    pod the number of this one is known to JAX. Absent if not all come within
    AQUILA_JOIN_SECONDS. The port is named because JAX's own default,
    8482 since 0.8.1, is closed in the firewall rule of multislice (jax issue 35905).
    """
    if "host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        # Emulated devices share one pool of threads, by default one for each device: two
        # collectives at a time can each hold some and wait for the rest for ever.
        os.environ.setdefault("NPROC", "64")
    coordinator = os.environ.get("AQUILA_COORDINATOR")
    if coordinator is None:
        return
    if not re.fullmatch(r".+:\d+", coordinator):
        raise ValueError(
            f"AQUILA_COORDINATOR={coordinator} must read HOST:PORT, as in {coordinator.partition(':')[0]}:8476."
        )
    count, index = os.environ.get("AQUILA_PROCESSES"), os.environ.get("AQUILA_PROCESS")
    if count:
        seconds = float(os.environ.get("AQUILA_JOIN_SECONDS", JOIN_SECONDS))
        name = f"process {index}" if index else socket.gethostname()
        rollcall.call(coordinator, count=int(count), name=name, seconds=seconds)
    if jax.config.jax_platforms == "cpu":
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        coordinator_address=coordinator,
        num_processes=int(count) if count and index else None,
        process_id=int(index) if index else None,
    )


@contextlib.contextmanager
def together(failed: Callable[[Exception], None] = lambda error: None) -> Iterator[None]:
    """Ends one of several processes at once where what is inside fails: to close is to wait for all.

    With GONE (76) if it fails because another process is gone, else with 1, once `failed` has
    noted why; what was saved is whole. JAX itself ends a process whose neighbours are silent for
    100 seconds, which would hide the failure of the first.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or not _GONE.search(str(error)):
            raise
        said = str(error).strip().splitlines()[0][:300]
        print(
            f"aquila_jax train: another process is gone, or out of reach ({said}). Run the same "
            "command again: it goes on from the newest checkpoint, also with fewer processes.",
            file=sys.stderr,
            flush=True,
        )
        sys.stdout.flush()
        os._exit(GONE)
    except RuntimeError:  # that all have come to alike
        raise
    except Exception as error:
        if jax.process_count() == 1:
            raise
        failed(error)
        if not isinstance(error, ValueError | OSError):  # which are one sentence
            traceback.print_exc()
        print(f"aquila_jax train: {error}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)
