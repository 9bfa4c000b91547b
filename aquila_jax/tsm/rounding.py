"""Signals with fewer bits than hosts may disagree on."""

import math

import numpy as np

from aquila_jax.core.signals import Signals


def rounded(signals: Signals) -> Signals:
    """Float64 copies, rounded to 21 bits (5e-7 relative), so that hosts agree on them.

    The last bits of a sum over devices depend on the mesh; decisions must not (science 4.1).
    """
    shapes = [None if x is None else np.shape(x) for x in signals]
    flat = np.concatenate([np.ravel(x) for x in signals if x is not None], dtype=np.float64)
    mantissa, exponent = np.frexp(flat)
    flat = np.ldexp(np.rint(mantissa * 2.0**21) * 2.0**-21, exponent)
    parts, first = [], 0
    for shape in shapes:
        last = first if shape is None else first + math.prod(shape)
        parts.append(None if shape is None else flat[first:last].reshape(shape))
        first = last
    return Signals(*parts)
