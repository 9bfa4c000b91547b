import dataclasses
import functools
import itertools
import json
import math

import pytest

from aquila_jax.ate import memory, policy
from aquila_jax.ate.memory import Action, PolicyState
from aquila_jax.ate.rules import RULES
from aquila_jax.ate.situation import MentorConfig, Proposal, Rule
from aquila_jax.core.signals import Request
from tests.ate.situations import PLANNED, alarm, later, situation, with_config

LOWER = Rule("lower", "rate", 2, 3, lambda s: Proposal({"lr_scale": 0.5 * s.control.lr_scale}))
decide = functools.partial(policy.by_rules, rules=(LOWER,))


def play(given, rules, steps, loss=lambda step: 4.0, moved=None):
    """Decisions of `steps` steps of a run that obeys, with the notes.

    `moved`: step -> by exp of what a change of the mixture there moves the loss.
    """
    decided, notes, moved = [], [], moved or {}
    for _ in range(steps):
        state, decision, told = policy.by_rules(given, rules=rules)
        decided.append(decision)
        notes += told
        given = later(given, state, control=decision.control)
        step = given.assessment.step
        assessment = dataclasses.replace(
            given.assessment, loss=loss(step), mixture_moved=moved.get(step, 0.0)
        )
        given = dataclasses.replace(given, assessment=assessment)
    return decided, notes, given


def acted(decided):
    return [decision.step for decision in decided if decision.rule]


@pytest.mark.parametrize("name", ["static", "peers", "aquila"])
def test_on_a_healthy_step_no_policy_does_more_than_set_limits(name):
    given = situation(config=MentorConfig(mode="act", policy=name))
    _, decision, notes = policy.decide(given)
    limits = {} if name == "static" else {"loss_limit": 5.0, "grad_norm_limit": 2.0}
    assert decision.control == PLANNED._replace(**limits)
    assert decision.request is None and not decision.rule and not notes


def test_one_actuator_a_window_a_pause_between_two_and_a_bounded_number():
    decided, _, _ = play(situation(), (LOWER,), 300)
    steps = acted(decided)
    assert len(steps) == 3  # LOWER.most
    assert all(b - a >= 40 for a, b in itertools.pairwise(steps))  # two windows of 20
    other = LOWER._replace(name="other", cooldown=0)
    decided, _, _ = play(situation(), (LOWER, other), 60)
    assert all(b - a >= 20 for a, b in itertools.pairwise(acted(decided)))


def test_safety_does_not_wait_for_a_trial_to_end():
    stop = Rule(
        "stop", "safety", 0, 1,
        lambda s: Proposal(request=Request("stop")) if s.assessment.step == 305 else None,
    )  # fmt: skip
    decided, _, _ = play(situation(), (stop, LOWER), 10)
    assert [decision.rule for decision in decided if decision.rule] == ["lower", "stop"]


def test_an_action_after_which_the_loss_is_worse_is_undone_and_waits_twice_as_long():
    loss = lambda step: 4.0 if step < 302 else 4.4  # noqa: E731
    decided, notes, end = play(situation(), (LOWER,), 30, loss)
    assert decided[0].predict["loss"] == 4.0 and decided[0].predict["verify_step"] == 320
    undone = next(decision for decision in decided if decision.rule == "undo")
    assert undone.step == 320 and undone.control.lr_scale == 1.0
    assert notes[0]["verdict"] == "undone" and notes[0]["realised"] == 4.4
    assert end.memory.failures == 1 and end.memory.penalties == {"rate": 1}
    decided, _, _ = play(end, (LOWER,), 100, loss)
    assert acted(decided)[0] == 300 + 4 * 20


def test_damage_where_an_action_is_undone_is_still_rewound():
    burst = alarm("non_finite_burst", 320, count=5, window=128, first=316)
    state, decision, _ = decide(situation())
    worse = later(situation(), state._replace(clock=state.trial.due - 1), 20,
                  control=decision.control,
                  assessment=situation(burst, step=320, loss=9.0).assessment)  # fmt: skip
    _, decision, notes = policy.by_rules(worse, rules=(LOWER._replace(cooldown=0), *RULES))
    assert notes[0]["verdict"] == "undone" and decision.control.lr_scale == 1.0
    assert decision.rule == "rewind" and decision.request.kind == "rewind"


GROWTH = alarm("attention_growth", 305, domain="en")


def told_in_a_trial(*raised):
    """Step 305: alarms while the action of step 300 is on trial until step 320."""
    state, *_ = policy.by_rules(situation(), rules=(LOWER,))
    assert state.trial.due == state.clock + 20
    state = state._replace(clock=state.clock + 4)
    told = later(situation(), state, 5, assessment=situation(*raised, step=305).assessment)
    state, decision, _ = policy.by_rules(told, rules=(LOWER, *RULES))
    return told, state, decision


def test_an_alarm_told_in_the_trial_of_another_rule_waits_for_its_own_and_is_answered_once():
    told, state, decision = told_in_a_trial(GROWTH)
    assert not decision.rule
    given = later(told, memory.from_json(json.loads(json.dumps(memory.to_json(state)))))
    decided, _, end = play(given, RULES, 60)
    assert [(x.rule, x.step) for x in decided if x.rule] == [("calm_logits", 320)]
    assert end.memory.waiting == ()


def test_an_alarm_that_waits_too_long_says_nothing_of_now():
    told, state, _ = told_in_a_trial(GROWTH)
    kept = state._replace(trial=state.trial._replace(due=state.clock + 85))
    decided, _, _ = play(later(told, kept), RULES, 120)
    assert not acted(decided)


def test_a_rewind_forgets_what_waits():
    told, state, _ = told_in_a_trial(GROWTH)
    assert state.waiting
    burst = alarm("non_finite_burst", 306, count=5, window=128, first=301)
    given = later(told, state, assessment=situation(burst, step=306).assessment)
    state, decision, _ = policy.by_rules(given, rules=RULES)
    assert decision.rule == "rewind" and state.waiting == ()


def test_an_action_that_helps_is_kept():
    decided, notes, end = play(situation(), (LOWER,), 30, lambda step: 3.9)
    assert [note["verdict"] for note in notes] == ["kept"]
    assert decided[-1].control.lr_scale == 0.5 and end.memory.failures == 0


@pytest.mark.parametrize("judge,after", [("loss", 0), ("none", 2)])
def test_only_what_the_loss_judges_ends_a_row_of_failures(judge, after):
    given = situation(memory=PolicyState(clock=299, loss=4.0, failures=2))
    _, notes, end = play(given, (LOWER._replace(judge=judge),), 30, lambda step: 3.9)
    assert [note["verdict"] for note in notes] == ["kept"] and end.memory.failures == after


@pytest.mark.parametrize(
    "name,judge,after", [("lower", "loss", 1), ("lower", "none", 0), ("recover", "loss", 0)]
)
def test_only_remedies_that_the_loss_judges_fail_where_safety_cuts_them_short(name, judge, after):
    state, *_ = policy.by_rules(situation(), rules=(LOWER._replace(name=name, judge=judge),))
    burst = alarm("non_finite_burst", 305, count=5, window=128, first=301)
    given = later(situation(), state, 5, assessment=situation(burst, step=305).assessment)
    state, decision, _ = policy.by_rules(given, rules=RULES)
    assert decision.rule == "rewind"
    assert state.failures == after and state.penalties == ({"rate": 1} if after else {})


def test_a_way_back_up_that_is_undone_was_no_remedy():
    decided, notes, end = play(situation(), (LOWER._replace(name="recover"),), 30, lambda step: 9.0)
    assert [note["verdict"] for note in notes] == ["undone"]
    assert end.memory.failures == 0 and end.memory.penalties == {"rate": 1}


@pytest.mark.parametrize("moved,verdict", [(0.0, "undone"), (0.2, "kept"), (math.nan, "kept")])
def test_what_other_data_did_is_not_held_against_an_action(moved, verdict):
    """From step 305 on another mixture has a loss 20 % higher, as it was known that it would."""

    def told(step):
        return 4.0 if step < 305 else 4.0 * math.exp(0.2)

    _, notes, _ = play(situation(), (LOWER,), 30, told, moved={305: moved})
    assert [note["verdict"] for note in notes] == [verdict]


def test_a_person_who_goes_back_ends_what_was_under_way():
    state, *_ = decide(situation())
    assert state.trial is not None
    after = policy.returned(state)
    assert (after.trial, after.failures, after.actions) == (None, 0, state.actions)


@pytest.mark.parametrize("rewinds", [3, 9])
def test_a_person_is_called_however_many_rewinds_are_allowed(rewinds):
    done = tuple(Action(100 + n, 100 + n, "rewind", "safety") for n in range(rewinds))
    burst = alarm("non_finite_burst", 305, count=5, window=128, first=301)
    for actions in (done, done * 2):
        given = situation(burst, step=305, config=with_config(rewinds=rewinds))
        given = dataclasses.replace(given, memory=given.memory._replace(actions=actions))
        _, decision, _ = policy.by_rules(given, rules=RULES)
        assert decision.request.kind == "stop"


def test_what_a_person_set_meanwhile_is_not_undone():
    state, decision, _ = decide(situation())
    control = decision.control._replace(lr_scale=0.2)
    worse = later(situation(), state, 20, control=control)
    worse = dataclasses.replace(
        worse, memory=state._replace(clock=state.trial.due),
        assessment=dataclasses.replace(worse.assessment, loss=9.0),
    )  # fmt: skip
    _, decision, notes = policy.by_rules(worse, rules=())
    assert decision.control.lr_scale == 0.2 and notes[0]["verdict"] == "did not help"


def test_a_rule_that_throws_is_out_and_the_others_go_on():
    def broken(s):
        raise KeyError("bandwidth")

    rules = (Rule("broken", "safety", 0, 9, broken), LOWER)
    decided, notes, end = play(situation(), rules, 5)
    assert [note for note in notes if note["kind"] == "disabled"] == [
        {"kind": "disabled", "rule": "broken", "why": "KeyError('bandwidth')"}
    ]
    assert acted(decided) == [300] and end.memory.disabled == ("broken",)


def test_trouble_that_remedies_do_not_cure_ends_in_a_call():
    """Damage comes back however often the run goes back; nobody is asked before that."""
    given, requests = situation(), []
    for step in range(300, 420, 15):
        burst = alarm("repeated_spikes", step, count=5, window=128, first=step - 4)
        given = dataclasses.replace(
            given, assessment=dataclasses.replace(situation(burst, step=step).assessment),
            sequences=10 * step,
        )  # fmt: skip
        state, decision, _ = policy.by_rules(given, rules=RULES)
        requests.append(decision.request.kind)
        given = dataclasses.replace(given, memory=state._replace(clock=state.clock + 14),
                                    control=decision.control)  # fmt: skip
        if requests[-1] == "stop":
            break
    assert requests == ["rewind", "rewind", "rewind", "stop"]
    assert given.control.lr_scale == pytest.approx(0.49)
    assert state.failures == 0  # whoever starts it again has looked


def test_in_shadow_nothing_is_on_trial():
    state, decision, _ = decide(situation(config=with_config()))
    assert state.trial is not None and decision.predict is not None
    state, decision, _ = decide(situation(config=MentorConfig(mode="shadow")))
    assert state.trial is None and decision.rule == "lower" and decision.predict is None


def test_in_shadow_a_rule_without_a_pause_speaks_once_a_window():
    given = situation(config=MentorConfig(mode="shadow"))
    decided, _, _ = play(given, (LOWER._replace(cooldown=0),), 60)
    assert acted(decided) == [300, 320, 340]


def test_the_memory_comes_back_from_json():
    state, *_ = decide(situation())
    state = state._replace(disabled=("a",), streaks={"b": 2}, penalties={"rate": 1})
    assert memory.from_json(json.loads(json.dumps(memory.to_json(state)))) == state
    fresh = memory.from_json(json.loads(json.dumps(memory.to_json(PolicyState()))))
    assert fresh.loss != fresh.loss and fresh._replace(loss=0) == PolicyState(loss=0)
    older = memory.to_json(state)
    del older["waiting"]  # which came later
    assert memory.from_json(older) == state._replace(waiting=())


def test_the_clock_goes_on_where_steps_go_back():
    """After a rewind the same steps are seen again; pauses are counted in steps seen."""
    given = situation()
    state, decision, _ = decide(given)
    again = dataclasses.replace(given, memory=state, control=decision.control)
    for _ in range(39):
        state, decision, _ = decide(again)  # step 300 over and over
        assert not decision.rule or decision.rule == "undo"
        again = dataclasses.replace(again, memory=state)
    assert decide(again)[1].rule == "lower"


def test_every_rule_says_why():
    for rule in RULES:
        assert "Why: " in rule.propose.__doc__
