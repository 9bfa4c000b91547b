"""Goodput: the causes add up to the whole, and each cause gets its own seconds."""

import numpy as np
import pytest

from aquila_jax.report import columns, goodput


def steps(times, seconds, first=1):
    rows = [
        {"step": first + i, "time": t, "step_seconds": s}
        for i, (t, s) in enumerate(zip(times, seconds, strict=True))
    ]
    return columns.from_rows(rows)


def test_a_run_by_hand():
    table = steps([110, 120, 130, 150, 160], [10, 10, 10, None, 10])
    events = (
        {"time": 95, "kind": "start", "seconds": 5},
        {"time": 100, "kind": "compile", "seconds": 5},
        {"time": 140, "kind": "evaluate", "seconds": 8},
        {"time": 165, "kind": "save", "seconds": 4},
    )
    spent = goodput.goodput(table, events)
    told = {cause: value for cause, value in spent.items() if value}
    assert told == {
        "startup": 5, "compile": 5, "evaluate": 8, "save": 4, "productive": 50, "other": 3,
    }  # fmt: skip


def test_steps_left_behind_and_downtime():
    first = steps([110, 120, 130, 140], [10] * 4)
    again = steps([310, 320, 330], [10] * 3, first=3)
    table = columns.join([first, again])
    events = (
        {"time": 100, "kind": "start", "seconds": 0},
        {"time": 300, "kind": "resume", "seconds": 40},
    )
    spent = goodput.goodput(table, events)
    assert spent["repeated"] == 20 and spent["productive"] == 50
    assert spent["down"] == 120 and spent["startup"] == 40
    assert sum(spent.values()) == 230


@pytest.mark.parametrize("seed", range(20))
def test_causes_add_up_to_all_time(seed):
    rng = np.random.default_rng(seed)
    n = 200
    seconds = rng.uniform(0.5, 1.5, n)
    times = 1e9 + np.cumsum(seconds * rng.uniform(1, 1.2, n))
    if seed % 2:
        times[n // 2 :] -= 50  # the clock goes back
    table = steps(times, seconds)
    kinds = list(goodput.CAUSE_OF) + ["stop", "unknown"]
    events = tuple(
        {"time": t, "kind": str(rng.choice(kinds)), "seconds": rng.uniform(0, 2)}
        for t in np.sort(rng.uniform(1e9, times[-1], 8))
    )
    spent = goodput.goodput(table, events)
    assert min(spent.values()) >= 0
    assert sum(spent.values()) == pytest.approx(goodput.elapsed(table, events), rel=1e-9)


def test_no_records_no_time():
    assert sum(goodput.goodput(columns.Columns({}, 0), ()).values()) == 0
    odd = ({"kind": "start", "time": "noon"}, {"kind": "save", "time": float("nan"), "seconds": 3})
    assert sum(goodput.goodput(columns.Columns({}, 0), odd).values()) == 0


def test_clock_jumps_are_found_and_cost_nothing():
    table = steps([100, 110, 50, 60], [10] * 4)
    assert goodput.clock_jumps(table) == [(3, 60.0)]
    assert goodput.elapsed(table, ()) == 40


def test_a_clock_that_leaps_ahead_is_found_unless_an_event_explains_it():
    table = steps([100, 110, 7320, 7330], [10] * 4)
    assert goodput.clock_leaps(table, ()) == [(3, 7200.0)]
    assert goodput.elapsed(table, ()) == 40
    slept = ({"time": 7300, "kind": "resume", "seconds": 5},)
    assert goodput.clock_leaps(table, slept) == []


def test_pace_has_evaluations_but_no_interruptions():
    seconds = np.full(100, 2.0)
    between = seconds.copy()
    between[::10] += 5  # an evaluation every ten steps
    between[57] += 10_000  # a night without a machine
    table = steps(np.cumsum(between), seconds)
    assert goodput.pace(table) == pytest.approx(2.5, rel=0.05)
    assert np.isnan(goodput.pace(columns.Columns({}, 0)))
