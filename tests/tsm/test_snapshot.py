import json
from typing import NamedTuple

import numpy as np
import pytest

from aquila_jax.tsm import domains, snapshot


class Inner(NamedTuple):
    numbers: np.ndarray
    value: float


class Outer(NamedTuple):
    inner: Inner
    counts: np.ndarray
    when: dict[str, int]
    step: int


def test_round_trip_is_exact_through_strict_json():
    rng = np.random.default_rng(0)
    numbers = np.append(rng.normal(size=5) * 1e-300, [np.nan, np.inf, -0.0]).reshape(2, 4)
    state = Outer(Inner(numbers, float("inf")), np.arange(3), {"a": 4}, 7)
    text = json.dumps(snapshot.to_json(state), allow_nan=False)
    back = snapshot.from_json(Outer, json.loads(text))
    assert back.inner.numbers.tobytes() == numbers.tobytes()
    assert back.counts.dtype == state.counts.dtype and back.counts.tolist() == [0, 1, 2]
    assert (back.inner.value, back.when, back.step) == (float("inf"), {"a": 4}, 7)
    empty = Inner(np.zeros((0, 3)), 1.0)
    assert snapshot.from_json(Inner, snapshot.to_json(empty)).numbers.shape == (0, 3)


def test_arrays_that_an_older_version_wrote_number_by_number_are_read():
    older = {"dtype": "float64", "shape": [2, 2], "values": [1.5, "nan", "inf", -0.0]}
    read = snapshot.from_json(Inner, {"numbers": older, "value": 2.0}).numbers
    assert read.tobytes() == np.array([[1.5, np.nan], [np.inf, -0.0]]).tobytes()


def test_another_version_is_refused():
    data = snapshot.to_json(Inner(np.zeros(1), 1.0))
    with pytest.raises(ValueError, match=r"differ in \['value'\]"):
        snapshot.from_json(Inner, {"numbers": data["numbers"]})


def test_a_field_with_a_default_may_be_missing_as_an_older_version_had_none():
    older = snapshot.to_json(domains.start(2))
    del older["rise"]
    found = snapshot.from_json(domains.DomainState, older).rise
    assert found.blocks == 0 and found.excess_K.shape == (0,)
