import numpy as np

from aquila_jax.tsm import history
from tests.tsm.synthetic import filled


def test_blocks_merge_but_lose_no_token():
    short, long = (
        filled(lambda n: [5 - 0.2 * np.log(n)], steps=400),
        filled(lambda n: [5 - 0.2 * np.log(n)], steps=6000),
    )
    assert short.block == 4 and len(short.step_K) == 100
    assert long.block == 32 and len(long.step_K) < history.BLOCKS
    for state in (short, long):
        total = state.counts_KM.sum() + state.open_M[1].sum()
        assert total == state.step_K[-1] * 1000 + state.open_M[1].sum()
        assert np.all(np.diff(state.step_K) == state.block)
        np.testing.assert_allclose(state.learning_rate_K, 1.0)


def test_groups_add_their_members():
    state = filled(lambda n: [3.0, 5.0, 4.0])
    seen = history.group(state, ("en", "zh"), ("en", "zh", "en"))
    np.testing.assert_allclose(history.losses(seen), np.tile([3.5, 5.0], (len(seen.step_K), 1)))


def test_a_domain_that_joins_has_no_past():
    wider = history.grow(filled(lambda n: [3.0, 5.0], steps=40), 3)
    seen = history.losses(wider)
    assert np.isnan(seen[:, 2]).all()
    np.testing.assert_allclose(seen[:, :2], np.tile([3.0, 5.0], (10, 1)))
