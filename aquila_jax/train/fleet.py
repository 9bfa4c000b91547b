"""What the hosts show of themselves at a checkpoint: how slow, by which clock, with which weights."""

import collections
import contextlib
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax.experimental import multihost_utils

from aquila_jax.core import agree, trees
from aquila_jax.train import speed

SLOW = 1.5  # times the median of the hosts
LEAST = 0.02  # seconds above it
SKEW = 2.0  # seconds between two clocks; what a barrier cannot tell apart is far below


class Corrupted(RuntimeError):
    """Copies of the weights that should be equal are not."""


class Fleet:
    """Times what this host does, and lays the hosts side by side."""

    def __init__(self):
        self.seconds: dict[str, list[float]] = {"data": [], "device": []}

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Counts the time inside as `what`, since the last survey."""
        begun = time.perf_counter()
        yield
        self.seconds[what].append(time.perf_counter() - begun)

    def survey(self, state: Any) -> dict:
        """One row a host, and who stands out; every process must ask.

        Steps end together, so the slow host does not show in their times: `data` is what each
        waited for its own batches, `probe` the time of the same small product on its own device.
        Corrupted if one device's copy of the weights is not that of the others.
        """
        copies = agree.gathered(_copies(state))
        require_equal(copies)
        row = {what: _median(times) for what, times in self.seconds.items()}
        self.seconds = {what: [] for what in self.seconds}
        row |= {"host": socket.gethostname(), "probe": speed.probe_seconds()}
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("clock")
        rows = agree.gathered(row | {"clock": time.time()})
        return {"hosts": rows, **remarks(rows)}


def remarks(rows: Sequence[dict]) -> dict[str, list[int]]:
    """Numbers of the hosts that are slow, and of those whose clock is off."""
    clocks = [row["clock"] for row in rows]
    off = [i for i, clock in enumerate(clocks) if abs(clock - statistics.median_low(clocks)) > SKEW]
    slow = {i for what in ("data", "probe") for i in _slow([row[what] for row in rows])}
    return {"slow": sorted(slow), "clock_off": off}


def require_equal(copies: Sequence[dict[str, int]]) -> None:
    """Corrupted unless all devices of all processes show the same fingerprint."""
    shown = {device: value for process in copies for device, value in process.items()}
    usual, count = collections.Counter(shown.values()).most_common(1)[0]
    odd = [device for device, value in shown.items() if value != usual]
    if odd:
        where = [i for i, process in enumerate(copies) if set(process) & set(odd)]
        raise Corrupted(
            f"the weights on devices {', '.join(odd)} (hosts {where}) differ from the copies on "
            f"{count} others, which no step can do: silent corruption. Nothing was saved; the same "
            "command goes on from the checkpoint before. If it comes back, replace that host."
        )


def _copies(state: Any) -> dict[str, int]:
    """The fingerprint of the state as each device of this process computes it from its copy."""
    told = trees.fingerprint(state)
    return {str(shard.device.id): int(shard.data) for shard in told.addressable_shards}


def _slow(seconds: Sequence[float]) -> list[int]:
    usual = statistics.median_low(seconds)
    limit = max(SLOW * usual, usual + LEAST)
    return [i for i, value in enumerate(seconds) if value > limit]


def _median(times: Sequence[float]) -> float:
    return statistics.median(times) if times else 0.0
