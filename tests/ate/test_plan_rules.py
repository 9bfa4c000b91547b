import dataclasses
import math

import pytest

from aquila_jax.ate import plan_rules, safety_rules
from aquila_jax.ate.memory import Action, PolicyState
from aquila_jax.ate.situation import Decay, Upcoming
from aquila_jax.core.signals import Forecast
from tests.ate.situations import alarm, situation, with_config, with_control

MAY = with_config(may=("decay",))
FORECAST = Forecast(300, 3.5, None, None, 0.9, 0, {}, {})
BETTER, UNSURE = Decay(7000.0, 0.01, 0.95), Decay(6000.0, 0.02, 0.6)


def forecast_of(*decays, streak=0, **changes):
    memory = PolicyState(clock=299, streaks={"start_decay": streak})
    given = situation(config=MAY, decays=decays, memory=memory, **changes)
    object.__setattr__(given.assessment, "forecast", FORECAST)
    return given


def test_the_decay_moves_after_three_sure_forecasts_in_a_row():
    streak = 0
    for _ in range(3):
        given = forecast_of(BETTER, UNSURE, streak=streak)
        assert plan_rules.start_decay(given) is None
        streak = plan_rules.confirm(given)["start_decay"]
    assert streak == 3
    proposal = plan_rules.start_decay(forecast_of(BETTER, UNSURE, streak=3))
    assert proposal.changes == {"decay_start": 7000.0} and not proposal.judged  # not begun yet
    now = plan_rules.start_decay(forecast_of(BETTER._replace(start=3000.0), streak=3))
    assert now.changes == {"decay_start": 3000.0} and now.judged
    assert plan_rules.confirm(forecast_of(UNSURE, streak=2))["start_decay"] == 0


def test_between_forecasts_the_streak_stays():
    memory = PolicyState(clock=299, streaks={"start_decay": 2})
    assert plan_rules.confirm(situation(memory=memory)) == {"start_decay": 2}


def test_two_forecasts_that_give_up_end_a_run_where_that_is_allowed():
    given = dataclasses.replace(forecast_of(), odds=0.01)
    streaks = plan_rules.confirm(given)
    assert streaks["hopeless"] == 1
    early = dataclasses.replace(given, progress=0.2)
    assert plan_rules.confirm(early)["hopeless"] == 0
    memory = PolicyState(clock=299, streaks={"hopeless": 2})
    stop = situation(config=with_config(may=("stop",), target_loss=2.0), memory=memory)
    assert "2 is out of reach" in safety_rules.hopeless(stop).request.arguments["why"]
    assert safety_rules.hopeless(situation(config=MAY, memory=memory)) is None


def test_never_into_the_past_nor_without_leave_nor_once_it_falls():
    past = forecast_of(Decay(2000.0, 0.5, 0.99), streak=3)
    assert plan_rules.start_decay(past) is None
    falling = forecast_of(BETTER, streak=3, control=with_control(decay_start=2000.0))
    assert plan_rules.start_decay(falling) is None
    later = forecast_of(Decay(9000.0, 0.5, 0.99), streak=3)  # the plan's is 8500
    assert plan_rules.start_decay(later) is None
    flat = alarm("plateau", gain=0.0)
    assert plan_rules.start_decay(situation(flat)) is None
    assert plan_rules.start_decay(situation(flat, config=MAY)).changes == {"decay_start": 3000.0}


def test_a_larger_batch_is_tried_where_the_plan_says_with_the_root_of_two():
    planned = with_config(grow_batch_at=(0.25, 0.5))
    given = situation(config=planned)
    proposal = plan_rules.grow_batch(given)
    assert proposal.request.kind == "branch" and proposal.request.arguments["batch"] == 20
    assert math.isclose(proposal.request.arguments["lr_scale"], math.sqrt(2), rel_tol=1e-5)
    once = PolicyState(clock=299, actions=(Action(250, 250, "grow_batch", "batch"),))
    assert plan_rules.grow_batch(situation(config=planned, memory=once)) is None
    assert plan_rules.grow_batch(situation(step=200, config=planned)) is None
    still = with_control(lr_scale=0.0)  # as a person may set it
    assert plan_rules.grow_batch(situation(config=planned, control=still)) is None
    troubled = PolicyState(clock=299, troubled=290)
    assert plan_rules.grow_batch(situation(config=planned, memory=troubled)) is None


def waiting(*events: str, since: int = 0):
    return Upcoming(2, "knowledge", events, since)


def test_the_next_phase_begins_on_a_plateau_it_waits_for():
    flat = alarm("plateau", gain=0.001, threshold=0.01)
    found = plan_rules.next_phase(situation(flat, upcoming=waiting("plateau")))
    assert found.request.kind == "phase" and found.evidence["event"] == "plateau"
    assert found.request.arguments == {"phase": 2, "name": "knowledge", "why": "plateau"}
    assert plan_rules.next_phase(situation(flat, upcoming=waiting("forecast"))) is None
    assert plan_rules.next_phase(situation(flat)) is None
    assert plan_rules.next_phase(situation(upcoming=waiting("plateau"))) is None


def test_a_plateau_of_the_phase_before_begins_nothing():
    flat = alarm("plateau", gain=0.001, threshold=0.01)
    for since, begins in ((1999, True), (2001, False)):  # of 3000 sequences
        found = plan_rules.next_phase(situation(flat, upcoming=waiting("plateau", since=since)))
        assert (found is not None) == begins


def test_the_forecast_must_say_three_times_that_nothing_is_left_to_gain():
    def told(low, final, streak):
        forecast = Forecast(300, final, low, None, 0.9, 5, {}, {})
        memory = PolicyState(clock=299, loss=4.0, streaks={"no_gain/2": streak})
        s = situation(upcoming=waiting("forecast"), memory=memory)
        return dataclasses.replace(
            s, assessment=dataclasses.replace(s.assessment, forecast=forecast)
        )

    assert plan_rules.confirm(told(3.99, 3.995, 2))["no_gain/2"] == 3
    assert plan_rules.confirm(told(3.97, 3.995, 2))["no_gain/2"] == 0  # the band still hopes
    assert plan_rules.confirm(told(None, 3.995, 0))["no_gain/2"] == 1
    assert plan_rules.next_phase(told(None, 3.995, 2)) is None
    found = plan_rules.next_phase(told(None, 3.995, 3))
    assert found.evidence == {"event": "forecast", "left_to_gain": pytest.approx(0.005)}


@pytest.mark.parametrize("events", [("forecast",), ("plateau",)])
def test_forecasts_that_began_one_phase_do_not_begin_the_next(events):
    told = dataclasses.replace(FORECAST, final_loss=3.995)
    memory, begun = PolicyState(clock=299, loss=4.0), []
    for number, on in [(1, ("forecast",))] * 3 + [(2, events)] * 3:
        s = situation(upcoming=Upcoming(number, "knowledge", on, 0), memory=memory)
        s = dataclasses.replace(s, assessment=dataclasses.replace(s.assessment, forecast=told))
        memory = memory._replace(streaks=plan_rules.confirm(s))
        begun.append(plan_rules.next_phase(dataclasses.replace(s, memory=memory)) is not None)
    assert begun == [False, False, True, False, False, "forecast" in events]
