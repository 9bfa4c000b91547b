import numpy as np
import pytest

from aquila_jax.ate import policy, rate_rules
from aquila_jax.ate.memory import Action, PolicyState
from tests.ate.situations import alarm, situation, with_config, with_control


def remembering(*rules: str, **fields) -> PolicyState:
    actions = tuple(Action(200, 200, rule, "rate") for rule in rules)
    return PolicyState(clock=299, loss=4.0, actions=actions, **fields)


@pytest.mark.parametrize("times", [3.0, 10.0, 30.0])
def test_a_rate_too_high_by_the_reference_comes_down_at_once_in_the_warm_up(times):
    given = situation(step=5, ratio=times * 1e-3, reference=(1e-3, 1e-3))
    scale = rate_rules.guard(given).changes["lr_scale"]
    assert scale == pytest.approx(max(1 / times, 0.05), rel=1e-3)


def test_what_was_learned_at_a_rate_far_too_high_is_learned_again():
    """But only while that is little, and never to raise the rate."""
    high = dict(step=5, ratio=9e-3, reference=(1e-3, 1e-3))
    asked = rate_rules.guard(situation(**high)).request
    assert (asked.kind, asked.arguments) == ("rewind", {"to_step": 0})
    later = situation(memory=PolicyState(clock=21), **high)  # a window of 20 steps is over
    assert later.window == 20 and rate_rules.guard(later).request is None
    long = situation(memory=PolicyState(clock=51), window=2000, **high)
    assert rate_rules.guard(long).request is None
    assert rate_rules.guard(situation(config=with_config(rewinds=0), **high)).request is None
    low = dict(step=5, warming=False, ratio=1e-4, reference=(1e-3, 1e-3))
    raised = rate_rules.guard(situation(config=with_config(most_lr_scale=10.0), **low))
    assert raised.changes["lr_scale"] > 1 and raised.request is None


def test_the_guard_is_stricter_while_it_is_early():
    """Before a rate that is too high has blown up the weights, which then hide it."""
    given = dict(ratio=1.8e-3, reference=(1e-3, 1e-3))
    assert rate_rules.guard(situation(step=15, **given)) is None  # a longer proxy shows as much
    early = rate_rules.guard(situation(step=25, **given))
    assert early.changes["lr_scale"] == pytest.approx(1 / 1.8, rel=1e-3)
    assert rate_rules.guard(situation(step=300, **given)) is None
    assert rate_rules.guard(situation(step=25, ratio=1.4e-3, reference=(1e-3, 1e-3))) is None


@pytest.mark.parametrize("step", [5, 300])
def test_what_the_guard_moved_it_holds_near_the_reference(step):
    moved = dict(step=step, memory=remembering("guard"), control=with_control(lr_scale=0.5))
    high = situation(ratio=1.3e-3, reference=(1e-3, 1e-3), **moved)
    assert rate_rules.guard(high).changes["lr_scale"] == pytest.approx(0.5 / 1.3, rel=1e-3)
    near = situation(ratio=1.2e-3, reference=(1e-3, 1e-3), **moved)
    assert rate_rules.guard(near) is None


def test_later_the_guard_only_halves_and_never_leaves_its_bounds():
    given = situation(ratio=0.3, reference=(0.01, 0.01))
    assert rate_rules.guard(given).changes == {"lr_scale": 0.5}
    low = situation(ratio=0.3, reference=(0.01, 0.01), control=with_control(lr_scale=0.11))
    assert rate_rules.guard(low).changes == {"lr_scale": rate_rules.LEAST}
    assert rate_rules.guard(situation(ratio=0.3, reference=(0.01, 0.01),
                                      control=with_control(lr_scale=0.1))) is None  # fmt: skip


@pytest.mark.parametrize("ratio", [0.005, 0.01, 0.02, 0.0249])
def test_a_healthy_ratio_is_left_alone(ratio):
    assert rate_rules.guard(situation(ratio=ratio, reference=(0.01, 0.01))) is None


def test_a_reference_that_moves_is_judged_by_all_that_the_smoothed_ratio_remembers():
    falling = (0.001, 0.01)
    assert rate_rules.guard(situation(ratio=0.02, reference=falling)) is None
    lowered = dict(memory=remembering("guard"), control=with_control(lr_scale=0.5))
    assert rate_rules.guard(situation(ratio=0.005, reference=falling, **lowered)) is None


def test_without_a_reference_the_guard_is_silent():
    assert rate_rules.guard(situation(ratio=9.0)) is None


def test_what_the_guard_lowered_it_raises_again_but_not_what_a_divergence_lowered():
    low = dict(ratio=0.004, reference=(0.01, 0.01), control=with_control(lr_scale=0.2))
    own = situation(memory=remembering("guard"), **low)
    assert rate_rules.guard(own).changes["lr_scale"] == pytest.approx(0.4)
    other = situation(memory=remembering("guard", "back_off"), **low | {"ratio": 0.001})
    assert rate_rules.guard(other) is None


def test_above_the_plan_only_where_the_configuration_allows_and_the_reference_asks():
    low = dict(step=5, ratio=1e-4, reference=(1e-3, 1e-3), warming=False)
    assert rate_rules.guard(situation(**low)) is None
    allowed = situation(config=with_config(most_lr_scale=4.0), **low)
    assert rate_rules.guard(allowed).changes["lr_scale"] == 4.0  # of the eight it would like
    near = low | {"ratio": 5e-4, "config": with_config(most_lr_scale=4.0)}
    assert rate_rules.guard(situation(**near)) is None
    begun = situation(memory=remembering("guard"), control=with_control(lr_scale=1.9), **near)
    assert rate_rules.guard(begun).changes["lr_scale"] == pytest.approx(3.8)


def test_in_the_warm_up_a_low_ratio_means_nothing():
    """The smoothed ratio lags behind a rate that rises."""
    low = situation(
        step=5, ratio=1e-4, reference=(1e-3, 1e-3), config=with_config(most_lr_scale=4.0)
    )
    assert low.warming and rate_rules.guard(low) is None


def test_a_persons_rate_is_the_ceiling_of_all_rules():
    control = with_control(lr_scale=0.3)
    memory = remembering("guard", ceiling=0.3)
    assert rate_rules.recover(situation(memory=memory, control=control)) is None
    low = situation(memory=memory, control=control, ratio=1e-4, reference=(0.01, 0.01))
    assert rate_rules.guard(low) is None


def test_a_rate_that_a_person_set_is_held_as_loosely_as_the_plan():
    given = dict(step=300, reference=(1e-3, 1e-3))
    state = policy.steered(remembering("guard"), {"lr_scale": 0.6}, step=290)
    assert rate_rules.guard(situation(ratio=2e-3, memory=state, **given)) is None
    assert rate_rules.guard(situation(ratio=2e-3, memory=remembering("guard"), **given))
    assert rate_rules.guard(situation(ratio=3e-3, memory=state, **given))


def test_back_off_needs_a_divergence_of_nearly_all_domains():
    rising = alarm("slow_divergence", rise=0.1, share=0.95)
    assert rate_rules.back_off(situation(rising)).changes == {"lr_scale": 0.7}
    assert rate_rules.back_off(situation(alarm("slow_divergence", rise=0.1, share=0.3))) is None
    assert rate_rules.back_off(situation()) is None
    floor = situation(rising, control=with_control(lr_scale=0.1))
    assert rate_rules.back_off(floor) is None


def test_logits_that_grow_get_z_loss_twice_and_then_a_lower_rate():
    grown, z_loss, seen = alarm("output_logit_growth", factor=5.0), 0.0, []
    for round_ in range(3):
        memory = remembering(*["calm_logits"] * round_)
        proposal = rate_rules.calm_logits(
            situation(grown, memory=memory, control=with_control(z_loss=z_loss))
        )
        z_loss = proposal.changes.get("z_loss", z_loss)
        seen.append(proposal.changes)
    assert seen == [{"z_loss": 1e-4}, {"z_loss": 1e-3}, {"lr_scale": 0.7}]


def test_recovery_waits_for_calm_rises_by_a_tenth_and_ends_at_the_plan():
    control = with_control(lr_scale=0.7)
    calm = remembering("back_off", troubled=150)
    troubled = remembering("back_off", troubled=250)
    assert rate_rules.recover(situation(memory=troubled, control=control)) is None
    scales = [0.7]
    while (
        proposal := rate_rules.recover(
            situation(memory=calm, control=with_control(lr_scale=scales[-1]))
        )
    ) is not None:
        scales.append(proposal.changes["lr_scale"])
    np.testing.assert_allclose(np.diff(np.log(scales[:-1])), np.log(1.1), rtol=1e-3)
    assert scales[-1] == 1.0


def test_recovery_does_not_argue_with_the_reference():
    control = with_control(lr_scale=0.5)
    low = dict(ratio=0.009, reference=(0.01, 0.01), control=control)
    assert rate_rules.recover(situation(memory=remembering("guard"), **low)) is None
    assert rate_rules.recover(situation(memory=remembering("back_off"), **low)) is not None
    memory = remembering("back_off", troubled=0)
    high = situation(memory=memory, control=control, ratio=0.012, reference=(0.01, 0.01))
    assert rate_rules.recover(high) is None
