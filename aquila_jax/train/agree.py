"""What only the first process can see, made known to all."""

import json
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
