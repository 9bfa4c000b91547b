import dataclasses
import json

import numpy as np
import pytest

from aquila_jax.tsm import points


def curve(count, noise=0.0):
    every = np.arange(1, count + 1)
    noise = noise * np.random.default_rng(0).standard_normal(count)
    return every, 2 + 3 * every**-0.3 + noise


def keep(steps, losses, block=1, start=None):
    kept = start or points.Points(block=block)
    for step, loss in zip(steps, losses, strict=True):
        kept = points.add(kept, int(step), float(loss))
    return kept


@pytest.mark.parametrize("block", [1, 8])
@pytest.mark.parametrize("count", [5, 255, 2048, 5000])
def test_any_length_is_few_points_on_the_curve(block, count):
    kept = keep(*curve(count), block)
    seen = points.observed(kept)
    assert len(seen.steps) < points.LIMIT
    assert len(kept.pending_steps) < kept.block
    assert count - seen.steps[-1] <= 1.5 * kept.block if len(seen.steps) else count < block
    late = seen.steps > 20 * kept.block  # earlier, a block spans much of the curve
    np.testing.assert_allclose(seen.loss[late], 2 + 3 * seen.steps[late] ** -0.3, rtol=2e-3)


def test_few_evaluations_are_kept_as_they_are():
    steps, losses = np.arange(100, 2000, 100), np.linspace(4, 3, 19)
    seen = points.observed(keep(steps, losses))
    np.testing.assert_array_equal(seen.steps, steps)
    np.testing.assert_array_equal(seen.loss, losses)


def test_spikes_leave_no_trace():
    steps, losses = curve(4000)
    spiked = losses.copy()
    spiked[10::16] += 9
    spiked[3], spiked[500] = np.nan, np.inf
    clean, dirty = (points.observed(keep(steps, y, points.BLOCK)) for y in (losses, spiked))
    index = clean.steps > 100
    interpolated = np.interp(clean.steps[index], dirty.steps, dirty.loss)
    np.testing.assert_allclose(interpolated, clean.loss[index], rtol=2e-3)


@pytest.mark.parametrize("stop", [1, 700, 2047, 2048, 2999])
def test_resume_equals_no_stop(stop):
    steps, losses = curve(3000, noise=0.05)
    first = keep(steps[:stop], losses[:stop], points.BLOCK)
    fields = json.loads(json.dumps(dataclasses.asdict(first)))
    again = points.Points(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})
    assert again == first
    assert keep(steps[stop:], losses[stop:], start=again) == keep(steps, losses, points.BLOCK)


def test_cut_forgets_what_came_after():
    kept = keep(*curve(1000), block=8)
    back = points.cut(kept, 500)
    assert back.steps == kept.steps[:62]  # the block of 497 to 504 goes too
    assert back.pending_steps == ()
    assert points.cut(kept, 504).steps == kept.steps[:63]


def test_thin_is_even_in_the_logarithm_and_keeps_both_ends():
    seen = points.Observed(*curve(5000))
    few = points.thin(seen, 100)
    assert 60 < len(few.steps) <= 100
    assert (few.steps[0], few.steps[-1]) == (1, 5000)
    gaps = np.diff(np.log(few.steps[few.steps > 300]))
    assert gaps.max() < 1.3 * gaps.min()
    assert points.thin(few, 100) is few
