import numpy as np
import pytest

from launch import detector_table

FIRST, PLACE = 215, 200


def steps(first, last, *, high=(), alarms=None):
    """Quiet losses from `first` to `last`, three times as high at some steps."""
    told = alarms or {}
    return [
        {"step": n, "loss": (12.0 if n in high else 4.0) * np.exp(0.02 * np.sin(7.3 * n)),
         "grad_norm": 1.0 + 0.05 * np.cos(3.7 * n), "alarms": told.get(n, [])}
        for n in range(first, last + 1)
    ]  # fmt: skip


CLEAN = {"place": PLACE, "past": steps(1, PLACE), "steps": steps(PLACE + 1, 260, alarms={230: ["plateau"]})}  # fmt: skip


def told(**change):
    return {"place": PLACE, "first": FIRST, "steps": steps(PLACE + 1, 250, **change)}


def test_a_spike_is_found_at_its_step_by_all():
    found = detector_table.trial(told(high=[FIRST], alarms={FIRST: ["spike"]}), CLEAN)
    assert set(found["delay"].values()) == {0} and found["moved"] == 0
    assert found["alarms"] == ["spike"]


def test_nothing_that_also_comes_without_the_fault_counts():
    found = detector_table.trial(told(alarms={230: ["plateau"]}), CLEAN)
    assert set(found["delay"].values()) == {None} and found["moved"] is None


def test_a_warning_before_the_loss_moves_is_a_lead():
    late = range(FIRST + 20, 251)
    found = detector_table.trial(told(high=late, alarms={FIRST + 5: ["update_ratio"]}), CLEAN)
    assert found["delay"][detector_table.ALL] == 5 and found["moved"] == 20
    assert "| 15 (15 to 15) |" in next(
        line
        for line in detector_table.markdown({"trials": {"slow/0": found}, "healthy": HEALTHY})
        if line.startswith("| slow")
    )


HEALTHY = [
    {"half": half, "steps": 2000, "flags": dict.fromkeys(detector_table.RULES, 3), "alarms": {"spike": 1}}
    for half in ("tune", "test")
]  # fmt: skip


def test_false_alarms_are_told_for_10_000_steps():
    lines = list(detector_table.markdown({"trials": {}, "healthy": HEALTHY}))
    assert sum("flags 3 of 2000 healthy steps, 15.0 per 10,000" in line for line in lines) == 4


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_no_number_has_moved(loss):
    lines = told()
    lines["steps"][FIRST - PLACE - 1]["loss"] = loss
    assert detector_table.trial(lines, CLEAN)["moved"] == 0
