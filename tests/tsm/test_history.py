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


def test_a_block_ends_at_its_last_step_and_has_the_means_of_all():
    state = history.start(1)
    for step in range(1, 3001):
        state = history.add(
            state, step=step, tokens=10.0 * step, learning_rate=float(step), batch=2.0 * step,
            sums_M=np.ones((2, 1)),
        )  # fmt: skip
    assert state.block == 16
    middle = state.step_K - (state.block - 1) / 2
    np.testing.assert_array_equal(state.tokens_K, 10 * state.step_K)
    np.testing.assert_allclose(state.learning_rate_K, middle)
    np.testing.assert_allclose(state.batch_K, 2 * middle)


def test_a_domain_that_joins_has_no_past():
    before = filled(lambda n: [3.0, 5.0], steps=42)  # two of them in the open block
    wider = history.grow(before, 3)
    np.testing.assert_array_equal(wider.open_M, np.pad(before.open_M, ((0, 0), (0, 1))))
    seen = history.losses(wider)
    assert np.isnan(seen[:, 2]).all()
    np.testing.assert_allclose(seen[:, :2], np.tile([3.0, 5.0], (10, 1)))
