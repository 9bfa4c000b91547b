import numpy as np

from aquila_jax.core.signals import Signals
from aquila_jax.tsm.rounding import rounded


def signals(scale):
    rng = np.random.default_rng(0)
    vector = rng.lognormal(0, 5, 7) * scale
    heavy = {"weight_std_PN": rng.random((9, 3)), "output_logit_max": np.float32(np.inf)}
    return Signals(*(np.float32(x) for x in rng.lognormal(0, 9, 12)), **heavy)._replace(
        domain_nats_M=vector, loss=np.float32(np.nan), skipped=np.float32(0)
    )


def test_values_that_differ_in_their_last_bits_become_equal():
    one, other = rounded(signals(1.0)), rounded(signals(1.0 + 1e-9))
    same = [
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(one, other, strict=True)
        if a is not None
    ]
    assert all(same)


def test_rounding_is_small_keeps_shapes_and_is_done_once():
    before = signals(1.0)
    after = rounded(before)
    for x, y in zip(before, after, strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            assert np.shape(x) == y.shape and y.dtype == np.float64
            np.testing.assert_allclose(y, x, rtol=5e-7)
    again = rounded(after)
    assert all(
        np.array_equal(x, y, equal_nan=True)
        for x, y in zip(after, again, strict=True)
        if x is not None
    )
