"""Frozen monitor states as JSON values and back, bit for bit, so that a resume equals no stop."""

import base64
import math
from typing import Any

import numpy as np


def to_json(value: Any) -> Any:
    """A state of named tuples, arrays, dicts and scalars as strict JSON values."""
    if hasattr(value, "_asdict"):
        return {name: to_json(item) for name, item in value._asdict().items()}
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        text = base64.b64encode(little).decode()
        return {"dtype": str(value.dtype), "shape": list(value.shape), "base64": text}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # strict JSON has no NaN; `float` reads these words back
    return value


def from_json(kind: type, data: Any) -> Any:
    """The state of type `kind` that `to_json` wrote; unknown or missing fields are errors.

    A field that an older version did not have is its default, if it has one.
    """
    if hasattr(kind, "_fields"):
        fields, data = kind.__annotations__, to_json(kind._field_defaults) | data
        if set(fields) != set(data):
            odd = sorted(set(fields) ^ set(data))
            raise ValueError(
                f"the saved {kind.__name__} and this version differ in {odd}; "
                "resume with the version that wrote it, or start the monitor anew."
            )
        return kind(**{name: from_json(fields[name], data[name]) for name in fields})
    if kind is np.ndarray:
        return _array(data)
    return float(data) if kind is float else data


def _array(data: dict) -> np.ndarray:
    if "values" in data:  # as older versions wrote them, number by number
        values = [float(item) if isinstance(item, str) else item for item in data["values"]]
        return np.array(values, dtype=data["dtype"]).reshape(data["shape"])
    little = np.frombuffer(
        base64.b64decode(data["base64"]), np.dtype(data["dtype"]).newbyteorder("<")
    )
    return little.astype(data["dtype"]).reshape(data["shape"])
