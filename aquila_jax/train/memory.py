"""A device that runs out of memory, in a sentence."""

import contextlib
import re
from collections.abc import Iterator

import jax

from aquila_jax.config import Config

# The same word stands for other resources, such as the length of a message between processes.
_FULL = re.compile(r"RESOURCE_EXHAUSTED.*(out of memory|allocat)", re.IGNORECASE | re.DOTALL)


@contextlib.contextmanager
def told(config: Config) -> Iterator[None]:
    """ValueError with the ways out if what is inside does not fit on a device."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not _FULL.search(str(error)):
            raise
        said, train = str(error).strip().splitlines()[0][:300], config.train
        raise ValueError(
            f"a device is out of memory ({said}). Raise train.accumulate={train.accumulate}, which "
            f"makes micro-batches smaller, let model.remat={config.model.remat!r} keep less, "
            f"spread it over more devices by train.mesh={dict(train.mesh)}, or begin anew with a "
            f"smaller train.batch={train.batch}."
        ) from error
