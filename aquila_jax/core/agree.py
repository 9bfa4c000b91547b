"""What only one process can see, made known to all."""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def told(value: Any) -> Any:
    """The first process's `value` (plain JSON) on every process; each must call this."""
    if jax.process_count() == 1:
        return value
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.zeros(size, np.uint8)
    if jax.process_index() == 0:
        padded[:] = text
    return json.loads(bytes(multihost_utils.broadcast_one_to_all(padded).tolist()))


def first(work: Callable[[], None]) -> None:
    """Runs `work` on the first process; its ValueError or OSError is raised on every process."""
    failed = None
    if jax.process_index() == 0:
        try:
            work()
        except (ValueError, OSError) as error:
            if jax.process_count() == 1:
                raise
            failed = [isinstance(error, ValueError), str(error)]
    if failed := told(failed):
        raise (ValueError if failed[0] else OSError)(failed[1])


def gathered(value: Any) -> list[Any]:
    """The `value` (plain JSON) of every process on every process; each must call this."""
    if jax.process_count() == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(len(text)))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: len(text)] = text
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(bytes(row[:size])) for row, size in zip(rows, sizes, strict=True)]
