import numpy as np
import pytest

from aquila_jax.tsm import history, points


def keep(losses_KM, counts_KM):
    kept = history.start(losses_KM.shape[1])
    for step, sums in enumerate(zip(losses_KM * counts_KM, counts_KM, strict=True), 1):
        told = {"tokens": 1.0, "learning_rate": 1.0, "batch": 1.0}
        kept = history.add(kept, step=step, sums_M=np.stack(sums), **told)
    return kept


@pytest.mark.parametrize("count", [5, 255, 2048, 5000])
def test_any_length_is_few_points_on_the_curve(count):
    loss = 2 + 3 * np.arange(1, count + 1) ** -0.3
    kept = keep(np.stack((loss, loss), axis=1), np.full((count, 2), 7.0))
    seen = points.whole(kept)
    assert len(seen.steps) <= history.BLOCKS
    assert count - seen.steps[-1] < 1.5 * kept.block
    late = seen.steps > 20 * kept.block  # earlier, a block spans much of the curve
    np.testing.assert_allclose(seen.loss[late], 2 + 3 * seen.steps[late] ** -0.3, rtol=2e-3)


def test_the_whole_weighs_targets_and_a_domain_is_seen_where_it_was():
    losses, counts = np.tile([2.0, 4.0], (8, 1)), np.tile([30.0, 10.0], (8, 1))
    counts[:4, 1] = 0
    kept = keep(losses, counts)
    assert points.whole(kept).steps.tolist() == [2.5, 6.5]
    assert points.whole(kept).loss.tolist() == [2.0, 2.5]
    assert points.domain(kept, 1).steps.tolist() == [6.5]
    assert points.domain(kept, 1).loss.tolist() == [4.0]


def test_blocks_of_steps_that_nobody_trusts_are_left_out():
    counts = np.ones((12, 1))
    counts[4:8] = 0
    assert points.whole(keep(np.full((12, 1), 3.0), counts)).steps.tolist() == [2.5, 10.5]


def test_thin_is_even_in_the_logarithm_and_loses_no_point():
    every = np.arange(1.0, 5001)
    seen = points.Observed(every, 2 + 3 * every**-0.3)
    few = points.thin(seen, 100)
    assert 60 < len(few.steps) <= 100
    gaps = np.diff(np.log(few.steps[few.steps > 300]))
    assert gaps.max() < 1.3 * gaps.min()
    np.testing.assert_allclose(few.loss, 2 + 3 * few.steps**-0.3, rtol=1e-3)
    assert points.thin(few, 100) is few
    noisy = points.thin(seen._replace(loss=np.random.default_rng(0).standard_normal(5000)), 100)
    assert noisy.loss[-20:].std() < 0.3  # means, not single points
