import math

import numpy as np
import pytest

from aquila_jax.tsm import detect, peers
from aquila_jax.tsm.detect import Reading
from tests.tsm import synthetic

SETTINGS = detect.DetectorSettings()
SEEDS = range(3)
STEPS = 2000


def watch(series, rule=detect, settings=SETTINGS):
    """The verdicts on `(loss, grad_norm)` pairs, when nobody acts on them."""
    return synthetic.observe_all(rule.observe, settings, rule.start(), series)


def obey(loss, norms, *, lag=2, settings=SETTINGS):
    """The verdicts when the device skips what exceeds the limits it was given `lag` steps ago."""
    state, verdicts, limits = detect.start(), [], [(math.inf, math.inf)] * (lag + 1)
    for step, (value, norm) in enumerate(zip(loss, norms, strict=True), 1):
        loss_limit, norm_limit = limits[-lag - 1]
        skipped = not (value <= loss_limit and norm <= norm_limit)
        reading = Reading(step, float(value), float(norm), skipped)
        state, verdict = detect.observe(settings, state, reading)
        limits.append((verdict.loss_limit, verdict.grad_norm_limit))
        verdicts.append((skipped, verdict))
    return verdicts, state


def plant(seed, steps, size):
    """A clean run whose loss and norm are multiplied at ten random steps, far apart."""
    loss, norms = synthetic.clean(seed, STEPS)
    where = 150 + np.arange(10) * (STEPS - 200) // 10
    where = where + np.random.default_rng(seed).integers(0, 100, 10)
    loss, norms = loss.copy(), norms.copy()
    loss[where - 1] *= np.exp(size)
    norms[where - 1] *= np.exp(3 * size)
    return loss, norms, where


def rates(rule, settings, size):
    """False alarms per 10,000 steps, and recall of planted spikes."""
    false = hits = 0
    for seed in SEEDS:
        loss, norms, where = plant(seed, STEPS, size)
        verdicts, _ = watch(zip(loss, norms, strict=True), rule, settings)
        spikes = {step for step, verdict in enumerate(verdicts, 1) if verdict.spike}
        hits += len(spikes & set(where.tolist()))
        false += len(spikes - set(where.tolist()))
    return false / (len(SEEDS) * STEPS) * 10_000, hits / (10 * len(SEEDS))


def test_spikes_are_found_and_clean_steps_are_not():
    false, recall = rates(detect, SETTINGS, 0.5)
    peers_false, peers_recall = rates(peers, peers.PeerSettings(), 0.5)
    assert false <= 5 and recall >= 0.95
    assert recall >= peers_recall
    assert false <= peers_false


def test_a_norm_that_rises_in_a_warm_up_costs_no_steps():
    """As in a healthy run of the gauntlet, whose 40th step was skipped for a norm of 1.54."""
    norms = np.r_[np.geomspace(0.9, 0.55, 36), 0.7, 0.97, 1.0, 1.54, 0.85, 0.84, 1.1, 1.1]
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(norms))
    verdicts, _ = obey(7.0 - 0.02 * np.arange(len(norms)), norms * np.exp(noise))
    assert not any(skipped for skipped, _ in verdicts)


def test_a_spike_does_not_hide_the_next_ones():
    """Several spikes in one window: the peers' rule widens on the first and misses the rest."""
    seen = {}
    for rule, settings in ((detect, SETTINGS), (peers, peers.PeerSettings())):
        loss, norms = synthetic.clean(7, 1500)
        where = [1200, 1215, 1230, 1245]
        for step, factor in zip(where, (6.0, 1.5, 1.5, 1.5), strict=True):
            loss[step - 1] *= factor
            norms[step - 1] *= factor
        verdicts, _ = watch(zip(loss, norms, strict=True), rule, settings)
        seen[rule] = [verdicts[step - 1].spike for step in where]
    assert seen[detect] == [True] * 4
    assert seen[peers] == [True, False, False, False]


def test_nan_does_not_close_the_window():
    loss, norms = synthetic.clean(3, 800)
    loss[399:403] = np.nan
    verdicts, _ = watch(zip(loss, norms, strict=True))
    assert not any(verdict.usable for verdict in verdicts[399:403])
    assert all(math.isfinite(verdict.loss_limit) for verdict in verdicts[399:])
    assert sum(verdict.spike for verdict in verdicts[403:]) == 0
    kinds = [alarm.kind for verdict in verdicts for alarm in verdict.alarms]
    assert kinds.count("non_finite") == 4 and "non_finite_burst" not in kinds
    peer_verdicts, _ = watch(zip(loss, norms, strict=True), peers, peers.PeerSettings())
    assert all(verdict.spike for verdict in peer_verdicts[403:525])  # all steps skipped


def test_a_burst_of_nan_is_told_as_damage():
    loss, norms = synthetic.clean(3, 500)
    norms[399:] = np.inf
    verdicts, _ = watch(zip(loss, norms, strict=True))
    kinds = [alarm.kind for alarm in verdicts[-1].alarms]
    assert "non_finite_burst" in kinds


@pytest.mark.parametrize("size", [math.log(1.3), math.log(4.0), -math.log(1.5)])
@pytest.mark.parametrize("which", ["loss", "norm", "both"])
def test_a_new_normal_is_accepted_after_a_bounded_number_of_skips(size, which):
    loss, norms = synthetic.clean(5, 1600)
    if which != "norm":
        loss[1199:] *= np.exp(size)
    if which != "loss":
        norms[1199:] *= np.exp(3 * size)
    verdicts, state = obey(loss, norms)
    skips = [skipped for skipped, _ in verdicts]
    assert sum(skips[1199:]) <= SETTINGS.skips + 2 + 1  # the limits arrive two steps late
    last = verdicts[-1][1]
    assert last.usable and last.loss_limit < 2 * loss[-1] and last.grad_norm_limit < 5 * norms[-1]
    assert len(state.spikes) == 0


def test_limits_separate_clean_steps_from_spikes_some_steps_ahead():
    loss, norms, where = plant(11, STEPS, 0.5)
    verdicts, _ = obey(loss, norms, lag=4)
    skipped = {step for step, (skip, _) in enumerate(verdicts, 1) if skip}
    assert set(where.tolist()) <= skipped
    assert len(skipped) <= len(where) + 2


def test_a_steep_descent_does_not_blind_the_loss_test():
    """In the first thousand steps the mean of 128 losses lags far above the loss."""
    found = {detect: 0, peers: 0}
    for rule, settings in ((detect, SETTINGS), (peers, peers.PeerSettings())):
        for seed in range(5):
            loss, norms = synthetic.clean(seed, 400, sigma=0.005)
            loss[299] *= 1.25  # the norm does not move
            verdicts, _ = watch(zip(loss, norms, strict=True), rule, settings)
            found[rule] += verdicts[299].spike
    assert found[detect] == 5
    assert found[peers] <= 1


def test_repeated_spikes_and_unsteady_steps_are_told():
    rng = np.random.default_rng(0)
    loss, norms = 3 * np.exp(0.02 * rng.standard_normal(600)), np.full(600, 0.5)
    norms = norms * np.exp(0.05 * rng.standard_normal(600))
    unsteady = norms.copy()
    unsteady[400:418:8] = 0.5 * np.exp(0.05 * np.array([5.5, 6.0, 6.5]))
    verdicts, _ = watch(zip(loss, unsteady, strict=True))
    kinds = {alarm.kind for verdict in verdicts for alarm in verdict.alarms}
    assert kinds == {"unsteady"}
    spiky = norms.copy()
    spiky[400:460:10] = 3.0
    verdicts, _ = watch(zip(loss, spiky, strict=True))
    alarms = [alarm for verdict in verdicts for alarm in verdict.alarms]
    repeated = [alarm for alarm in alarms if alarm.kind == "repeated_spikes"]
    assert len([alarm for alarm in alarms if alarm.kind == "spike"]) == 6
    assert repeated[0].step == 441 and repeated[0].evidence["first"] == 401


@pytest.mark.parametrize(
    "at,first",
    [
        ([300, 360, 361, 362, 363], 360),  # a stray, and then the trouble
        ([300, 310, 320, 330, 340], 300),
        ([300, 330, 370, 371, 372], 330),  # four of five at least are the trouble's
        ([290, 320, 400, 401, 402, 403], 400),
    ],
)
def test_trouble_begins_after_a_stray_spike(at, first):
    """What is suspected is read again or left out, so a stray long before costs good steps."""
    loss, norms = synthetic.clean(4, 420)
    norms = np.array(norms)
    norms[np.array(at) - 1] *= 20
    verdicts, _ = watch(zip(loss, norms, strict=True))
    alarms = [alarm for verdict in verdicts for alarm in verdict.alarms]
    assert [a.evidence["first"] for a in alarms if a.kind == "repeated_spikes"][-1] == first


def test_skipped_steps_and_the_other_half_of_a_spike_teach_nothing():
    loss, norms = synthetic.clean(4, 400)
    _, state = watch(zip(loss, norms, strict=True))
    for reading in (
        Reading(401, 1.02 * loss[-1], norms[-1], True),
        Reading(402, 1.02 * loss[-1], 50 * norms[-1], False),
    ):
        after, verdict = detect.observe(SETTINGS, state, reading)
        assert not verdict.usable
        assert after.loss.values is state.loss.values and after.loss.trend == state.loss.trend


def test_an_easy_batch_is_told_and_not_learned():
    loss, norms = synthetic.clean(9, 1600)
    loss[1400] = 0.01
    verdicts, _ = watch(zip(loss, norms, strict=True))
    assert [alarm.kind for alarm in verdicts[1400].alarms] == ["easy_batch"]
    assert not any(verdict.spike for verdict in verdicts[1401:])


def test_a_known_change_of_the_mixture_moves_the_limit():
    loss, norms = synthetic.clean(2, 600)
    _, state = watch(zip(loss, norms, strict=True))
    before, _ = detect.limits(SETTINGS, state, 600)
    after, _ = detect.limits(SETTINGS, detect.shift(state, math.log(1.5)), 600)
    assert after == pytest.approx(1.5 * before)
    _, verdict = detect.observe(
        SETTINGS, detect.shift(state, math.log(1.5)), Reading(601, 1.5 * loss[-1], norms[-1], False)
    )
    assert not verdict.spike
