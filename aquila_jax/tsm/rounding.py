"""Signals with fewer bits than hosts may disagree on."""

import numpy as np

from aquila_jax.core.signals import Signals


def rounded(signals: Signals) -> Signals:
    """Float64 copies, rounded to 21 bits (5e-7 relative), so that hosts agree on them.

    The last bits of a sum over devices depend on the mesh; decisions must not (science 4.1).
    """
    fields = [np.asarray(x, np.float64) for x in signals if x is not None]
    mantissa, exponent = np.frexp(np.concatenate([x.ravel() for x in fields]))
    flat = np.ldexp(np.rint(mantissa * 2.0**21) * 2.0**-21, exponent)
    ends = np.cumsum([x.size for x in fields])
    parts = iter(
        flat[end - x.size : end].reshape(x.shape) for x, end in zip(fields, ends, strict=True)
    )
    return Signals(*(None if x is None else next(parts) for x in signals))
