"""Columns: flattening, what counts after a rewind, gaps, thinning, smoothing."""

import numpy as np
import pytest

from aquila_jax.report import columns


def test_nested_numbers_become_columns_and_missing_ones_nan():
    rows = [
        {"step": 1, "loss": 2.5, "domain_loss": {"zh": 3.0}, "rms": [1.0, 2.0], "text": "a"},
        {"step": 2, "loss": None, "domain_loss": {"en": 2.0}},
        {"step": 3, "loss": "broken", "mfu": 0.5},
    ]
    table = columns.from_rows(rows)
    assert table.size == 3
    assert set(table.values) == {"step", "loss", "domain_loss/zh", "domain_loss/en", "mfu"}
    np.testing.assert_array_equal(table["loss"], [2.5, np.nan, np.nan])
    np.testing.assert_array_equal(table["domain_loss/zh"], [3.0, np.nan, np.nan])
    np.testing.assert_array_equal(table["unknown"], [np.nan] * 3)
    assert table.inner("domain_loss") == ["en", "zh"]


def test_join_is_reading_at_once():
    rows = [{"step": i, "loss": i / 7, **({"mfu": 0.1} if i > 5 else {})} for i in range(9)]
    whole = columns.from_rows(rows)
    parts = columns.join([columns.from_rows(rows[:2]), columns.from_rows(rows[2:])])
    assert whole.values.keys() == parts.values.keys()
    for name in whole.values:
        np.testing.assert_array_equal(whole[name], parts[name])


def test_only_the_last_writing_of_a_step_counts():
    steps = np.array([1, 2, 3, 4, 2, 3, 4, 5, 5, 6.0])
    kept = steps[columns.counts(steps)]
    assert kept.tolist() == [1, 2, 3, 4, 5, 6]
    # Of each repeated step it is the later one: the first run of 2, 3, 4 was left behind.
    assert columns.counts(steps).tolist() == [True, *[False] * 3, *[True] * 3, False, True, True]


@pytest.mark.parametrize("seed", range(5))
def test_what_counts_always_rises(seed):
    steps = np.random.default_rng(seed).integers(0, 40, 200).astype(float)
    kept = steps[columns.counts(steps)]
    assert (np.diff(kept) > 0).all() and kept[-1] == steps[-1]


def test_gaps_are_found_by_the_usual_distance():
    assert columns.gaps(np.array([1, 2, 3, 7, 8, 9.0])) == [(4, 6)]
    assert columns.gaps(np.array([10, 20, 30, 60, 70.0])) == [(40, 50)]
    assert columns.gaps(np.arange(0, 100, 10.0)) == []


@pytest.mark.parametrize("seed", range(3))
def test_thinning_keeps_extremes_and_ends(seed):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(100_003)
    y[rng.integers(0, len(y), 50)] = np.nan
    y[77_777], y[12_345] = 1e6, -1e6
    x = np.arange(len(y))
    thin_x, thin_y = columns.thin(x, y, 2000)
    assert len(thin_x) <= 2002
    assert (np.diff(thin_x) > 0).all()
    np.testing.assert_array_equal(thin_y, y[thin_x])
    assert {0, 77_777, 12_345, len(y) - 1} <= set(thin_x.tolist())


def test_few_points_stay_as_they_are():
    x, y = np.arange(10), np.array([np.nan, *range(9)])
    thin_x, thin_y = columns.thin(x, y, 10)
    np.testing.assert_array_equal(thin_x, x)
    np.testing.assert_array_equal(thin_y, y)


def test_smoothing_is_the_mean_of_the_last_values():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(50)
    y[[3, 4, 20]] = np.nan, np.inf, np.nan
    mean = columns.smooth(y, 7)
    for i in range(len(y)):
        window = y[max(0, i - 6) : i + 1]
        assert mean[i] == pytest.approx(window[np.isfinite(window)].mean())
    huge = columns.smooth(np.insert(y, 10, 1e20), 7)
    np.testing.assert_array_equal(huge[17:], mean[16:])  # gone with the window it was in
    assert np.isnan(columns.smooth(np.full(4, np.nan), 2)).all()
    assert columns.smooth(np.zeros(0), 5).shape == (0,)
