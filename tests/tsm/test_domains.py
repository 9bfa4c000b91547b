import math

import numpy as np
import pytest

from aquila_jax.tsm import domains

SETTINGS = domains.DomainSettings()
NAMES = ("web", "books", "news", "code")
BASE = np.array([3.0, 3.4, 2.8, 1.5])


def run(factor, *, steps=1300, seed=0, present=None, usable=lambda step: True, sequences=16):
    """Alarms and last state of a run whose losses are BASE times `factor(step)` `[M]`."""
    rng = np.random.default_rng(seed)
    state, raised = domains.start(4), []
    for step in range(1, steps + 1):
        share = np.full(4, 0.25) if present is None else present(step)
        tokens = rng.multinomial(sequences, share) * 256.0
        noise = 0.04 * rng.standard_normal(4) / np.sqrt(np.maximum(tokens, 1) / 256)
        nats = BASE * factor(step) * np.exp(noise) * tokens
        state, alarms = domains.observe(
            SETTINGS, state, np.stack((nats, tokens)), step=step, usable=usable(step), names=NAMES
        )
        raised += alarms
    return raised, state


def descent(step):
    return 1 + 2 * (1 + step / 20) ** -0.5


def test_smooth_loss_is_the_loss_of_each_domain():
    _, state = run(lambda step: np.ones(4))
    np.testing.assert_allclose(domains.smooth(state), BASE, rtol=0.02)
    assert domains.expected(state, np.array([1, 0, 0, 3.0])) == pytest.approx(1.875, rel=0.02)
    np.testing.assert_allclose(state.share_M, 0.25, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_healthy_runs_are_silent(seed):
    raised, _ = run(descent, steps=2000, seed=seed)
    assert raised == []


def test_a_changed_mixture_is_no_divergence():
    def present(step):
        return [0.7, 0.1, 0.1, 0.1] if 800 < step < 1100 else [0.05, 0.05, 0.1, 0.8]

    raised, _ = run(descent, present=present)
    assert raised == []


@pytest.mark.parametrize("rate", [0.002, 0.0005])
def test_slow_divergence_is_told_with_all_domains_to_blame(rate):
    def diverging(step):
        return descent(step) * math.exp(rate * max(0, step - 1000))

    raised, _ = run(diverging)
    assert raised[0].kind == "slow_divergence"
    assert raised[0].step < 1000 + 0.15 / rate  # before the loss has risen by 15 %
    assert raised[0].evidence["share"] > 0.7
    assert raised[0].evidence["rise"] > 0


def test_a_rise_of_all_domains_is_no_domains_fault():
    raised, _ = run(lambda step: descent(step) * (1.3 if step > 1000 else 1.0))
    assert {alarm.kind for alarm in raised} == {"loss_jump", "slow_divergence"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("skipped", [False, True])
def test_a_loss_that_jumps_in_most_domains_and_stays_there_is_told_with_its_beginning(
    seed, skipped
):
    """Also where each step of it is refused, and teaches nothing."""
    raised, _ = run(
        lambda step: descent(step) * (np.array([1.3, 1.3, 1, 1.3]) if step > 1001 else 1.0),
        usable=lambda step: not (skipped and step > 1001),
        steps=1100,
        seed=seed,
    )
    jump = next(alarm for alarm in raised if alarm.kind == "loss_jump")
    assert jump.step == 1012 and jump.evidence["first"] == 1001  # that block began it
    assert jump.evidence["rise"] == pytest.approx(0.28, abs=0.06)
    assert jump.evidence["suspect"] == 1002


def test_a_run_is_not_judged_before_its_noise_is_known():
    raised, _ = run(lambda step: 2.0 if step > 20 else 1.0, steps=100)
    jumps = [alarm.step for alarm in raised if alarm.kind == "loss_jump"]
    assert all(step > SETTINGS.judged * SETTINGS.block for step in jumps)


def test_a_loss_that_climbs_step_by_step_has_no_suspect():
    raised, _ = run(
        lambda step: descent(step) * math.exp(0.03 * max(0, min(step - 1000, 20))), steps=1100
    )
    jump = next(alarm for alarm in raised if alarm.kind == "loss_jump")
    assert "suspect" not in jump.evidence


@pytest.mark.parametrize(
    "factor",
    [
        lambda step: 2.0 if 1000 < step <= 1008 else 1.0,  # bad batches that are over
        lambda step: np.array([1, 3, 1, 3]) if step > 1000 else 1.0,  # half of the domains
        lambda step: 1.08 if step > 1000 else 1.0,
    ],
)
def test_what_ends_or_touches_few_domains_or_is_small_is_no_jump_of_the_loss(factor):
    raised, _ = run(lambda step: descent(step) * factor(step), steps=1200)
    assert "loss_jump" not in {alarm.kind for alarm in raised}


def test_one_bad_domain_is_named_and_the_others_are_not():
    def bad(step):
        return descent(step) * np.array([1, 1, 1.4 if step > 1000 else 1, 1])

    raised, _ = run(bad)
    jumps = [alarm for alarm in raised if alarm.kind == "domain_jump"]
    assert {alarm.evidence["domain"] for alarm in jumps} == {"news"}
    assert 1000 < jumps[0].step < 1060
    assert jumps[0].evidence["after"] > jumps[0].evidence["before"]


def test_a_domain_that_is_always_skipped_is_still_named():
    def bad(step):
        return descent(step) * np.array([1, 4.0 if step > 1000 else 1, 1, 1])

    def damaged(step):
        return step > 1000 and step % 4 == 1  # a NaN among them must not hide the rest

    raised, state = run(
        lambda step: bad(step) * (np.nan if damaged(step) else 1.0),
        usable=lambda step: step <= 1000,
        steps=1100,
    )
    assert {alarm.evidence["domain"] for alarm in raised if alarm.kind == "domain_jump"} == {
        "books"
    }
    learned = state.slow_2M[0] / state.slow_2M[1]
    assert learned[1] < 1.5 * learned[0]  # the skipped steps taught nothing


def test_text_seen_before_is_told():
    raised, _ = run(lambda step: np.array([1, 1, 1, 0.3 if step > 1200 else 1]))
    assert {(a.kind, a.evidence["domain"]) for a in raised} == {("domain_jump", "code")}


def test_blame_names_the_domain_of_most_of_the_excess():
    _, state = run(lambda step: np.ones(4))
    tokens = np.full(4, 1024.0)
    all_rose = domains.residuals(SETTINGS, state, np.stack((1.5 * BASE * tokens, tokens)))
    one_rose = domains.residuals(SETTINGS, state, np.stack((BASE * [1, 1, 3, 1] * tokens, tokens)))
    assert "no single" in domains.blame(all_rose, NAMES)
    assert "news" in domains.blame(one_rose, NAMES)


def test_damaged_numbers_leave_no_trace():
    _, clean = run(lambda step: np.ones(4), steps=400)
    state = clean
    for step in (401, 402, 403, 404):
        seen = np.stack((np.array([np.nan, np.inf, 1.0, 2.0]), np.full(4, 256.0)))
        state, alarms = domains.observe(SETTINGS, state, seen, step=step, usable=False, names=NAMES)
        assert alarms == ()
    np.testing.assert_array_equal(domains.smooth(state), domains.smooth(clean))


def test_a_domain_may_join():
    _, state = run(lambda step: np.ones(4), steps=400)
    wider = domains.grow(state, 5)
    assert wider.rise is state.rise and len(state.rise.excess_K) == 13  # steps, and no domains
    assert np.isnan(domains.smooth(wider)[4])
    np.testing.assert_array_equal(domains.smooth(wider)[:4], domains.smooth(state))
    assert math.isnan(domains.expected(wider, np.array([0, 0, 0, 0.5, 0.5])))
    rare = domains.expected(wider, np.array([0, 0, 0, 0.995, 0.005]))
    assert rare == pytest.approx(domains.smooth(wider)[3])
    for step in range(401, 500):
        seen = np.stack((np.append(BASE, 9.0) * 256, np.full(5, 256.0)))
        wider, alarms = domains.observe(
            SETTINGS, wider, seen, step=step, usable=True, names=(*NAMES, "new")
        )
        assert alarms == ()
    assert domains.smooth(wider)[4] == pytest.approx(9.0)
