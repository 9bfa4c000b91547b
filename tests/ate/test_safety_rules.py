import dataclasses
import math

import pytest

from aquila_jax.ate import safety_rules
from aquila_jax.ate.memory import Action, PolicyState
from aquila_jax.ate.rules import RULES
from tests.ate.situations import alarm, situation, with_config


def rewound(*clocks: int, **fields) -> PolicyState:
    actions = tuple(Action(clock, clock, "rewind", "safety") for clock in clocks)
    return PolicyState(clock=299, loss=4.0, actions=actions, **fields)


BURSTS = ("repeated_spikes", "non_finite_burst")


@pytest.mark.parametrize("kind", BURSTS)
def test_damage_leads_back_before_its_first_step_and_leaves_its_data_out(kind):
    proposal = safety_rules.rewind(situation(alarm(kind, count=5, window=128, first=290)))
    asked = proposal.request.arguments
    assert proposal.request.kind == "rewind"
    assert asked["to_step"] == 250 and asked["suspect_step"] == 290  # a multiple of 50
    first, last = asked["exclude"]
    assert first == 2890  # the first sequence of step 290
    assert last == 3000 + 40 * 10  # two windows of 20 steps more
    assert proposal.changes == {}


def test_the_same_trouble_again_goes_further_back_with_a_gentler_rate():
    burst = alarm("repeated_spikes", count=5, window=128, first=290)
    steps, scales = [], []
    for before in ([], [280], [270, 280]):
        proposal = safety_rules.rewind(situation(burst, memory=rewound(*before)))
        steps.append(proposal.request.arguments["to_step"])
        scales.append(proposal.changes.get("lr_scale", 1.0))
    assert steps == [250, 250, 200] and scales == [1.0, 0.7, 0.7]
    both = safety_rules.rewind(situation(burst, memory=rewound(10, 280)))
    assert both.evidence["recurrence"] == 1 and both.request.arguments["to_step"] == 250
    long_ago = safety_rules.rewind(situation(burst, memory=rewound(10)))
    assert long_ago.changes == {} and long_ago.request.arguments["to_step"] == 250


def jump(times: float):
    return alarm("domain_jump", domain="web", before=5.0, after=5.0 * times, cusum=14.0)


def test_a_domain_that_leaves_its_past_is_gone_back_from_and_its_data_left_out():
    asked = safety_rules.set_aside(situation(jump(1.3))).request.arguments
    assert asked["to_step"] == 250
    assert asked["exclude"] == [3000 - 24 * 10, 3000 + 48 * 10]
    assert safety_rules.set_aside(situation(jump(1.05))) is None
    assert safety_rules.set_aside(situation(jump(0.5))) is None
    assert safety_rules.set_aside(situation(jump(1.3), weights={"web": 0.002})) is None  # gated
    assert safety_rules.set_aside(situation()) is None


def test_only_a_step_that_an_alarm_named_is_a_suspect():
    assert "suspect_step" not in safety_rules.set_aside(situation(jump(1.3))).request.arguments
    memory = PolicyState(clock=299, actions=(Action(200, 200, "back_off", "rate"),))
    rising = situation(alarm("slow_divergence", rise=0.2, share=1.0), memory=memory)
    assert "suspect_step" not in safety_rules.rewind(rising).request.arguments
    broken = situation(alarm("loss_jump", rise=0.2, first=289))  # a block, and not a step
    asked = safety_rules.rewind(broken).request.arguments
    assert asked["to_step"] == 250 and "suspect_step" not in asked
    spiked = situation(alarm("loss_jump", rise=0.2, first=289, suspect=291))
    assert safety_rules.rewind(spiked).request.arguments["suspect_step"] == 291


def test_odd_tokens_count_only_where_the_loss_is_in_trouble():
    odd = alarm("token_statistics", domain="web", what="the surprise of its tokens", deviations=9.0)
    for troubled, acts in ((0, False), (100, False), (290, True)):
        memory = PolicyState(clock=299, loss=4.0, troubled=troubled)
        found = safety_rules.set_aside(situation(odd, memory=memory))
        assert (found is not None) == acts


def test_bad_data_is_left_out_at_most_twice():
    kinds = [rule for rule in RULES if rule.name == "set_aside"]
    assert [rule.most for rule in kinds] == [2]


def test_without_rewinds_left_no_data_is_left_out():
    for rewinds, acts in ((0, False), (1, True)):
        asked = safety_rules.set_aside(situation(jump(1.3), config=with_config(rewinds=rewinds)))
        assert (asked is not None) == acts
    used = situation(jump(1.3), memory=rewound(1, 2, 3), config=with_config(rewinds=3))
    assert safety_rules.set_aside(used) is None


def test_never_before_the_beginning():
    early = alarm("non_finite_burst", step=6, count=5, window=128, first=1)
    asked = safety_rules.rewind(situation(early, step=6)).request.arguments
    assert asked["to_step"] == 0 and asked["exclude"][0] == 0


def test_after_the_last_rewind_a_person_is_called():
    burst = alarm("repeated_spikes", count=5, window=128, first=290)
    request = safety_rules.rewind(situation(burst, memory=rewound(1, 2, 3))).request
    assert request.kind == "stop" and "rewinds are used up" in request.arguments["why"]
    patient = situation(burst, memory=rewound(1, 2, 3), config=with_config(rewinds=4))
    assert safety_rules.rewind(patient).request.kind == "rewind"


def test_a_divergence_that_a_lower_rate_did_not_cure_is_rewound():
    rising = alarm("slow_divergence", rise=0.2, share=1.0)
    assert safety_rules.rewind(situation(rising)) is None  # first the rate
    backed_off = PolicyState(clock=299, actions=(Action(200, 200, "back_off", "rate"),))
    proposal = safety_rules.rewind(situation(rising, memory=backed_off))
    assert proposal.request.arguments["to_step"] == 150  # two windows before the back-off
    assert proposal.changes == {"lr_scale": 0.7}


def test_remedies_that_do_not_help_end_in_a_call():
    tried = situation(memory=PolicyState(clock=299, failures=2))
    assert safety_rules.give_up(tried) is None
    tried = dataclasses.replace(tried, memory=PolicyState(clock=299, failures=3))
    assert safety_rules.give_up(tried).request.kind == "stop"


def test_a_run_on_the_wrong_data_is_stopped_only_with_leave():
    wrong = alarm("mixture", domain="web", observed=0.5, expected=0.1)
    assert safety_rules.wrong_data(situation(wrong)) is None
    allowed = with_config(may=("stop",))
    proposal = safety_rules.wrong_data(situation(wrong, config=allowed))
    assert proposal.request.kind == "stop" and proposal.evidence["domain"] == "web"
    assert safety_rules.wrong_data(situation(config=allowed)) is None


def test_a_hopeless_run_is_stopped_only_with_leave():
    stalled = alarm("stalled", fall=0.0, steps=300)
    assert safety_rules.hopeless(situation(stalled)) is None
    allowed = situation(stalled, config=with_config(may=("stop",)))
    assert safety_rules.hopeless(allowed).request.kind == "stop"


def test_a_loss_that_stays_at_chance_is_hopeless_once_the_run_is_on_its_way():
    allowed, chance = with_config(may=("stop",)), math.log(2048)
    untaught = dict(loss=chance + 0.01, chance=chance, config=allowed)
    assert safety_rules.hopeless(situation(step=200, **untaught)).evidence["chance"] == chance
    assert safety_rules.hopeless(situation(step=199, **untaught)) is None
    assert safety_rules.hopeless(situation(step=200, **untaught, warming=True)) is None
    assert safety_rules.hopeless(situation(step=200, **untaught | {"loss": 0.97 * chance})) is None
    assert (
        safety_rules.hopeless(situation(step=200, **untaught | {"config": with_config()})) is None
    )


def test_a_healthy_step_asks_for_nothing():
    one = situation(alarm("spike", z=8.0))
    assert [rule.name for rule in RULES if rule.propose(one)] == []
