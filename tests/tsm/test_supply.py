import dataclasses

import numpy as np
import pytest

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.tsm import monitor, supply
from tests.tsm import synthetic

SETTINGS = supply.SupplySettings()
LENGTH = 128


def named(weights):
    return {f"domain_{i}": float(weight) for i, weight in enumerate(weights)}


def given(weights, *, seed, steps, batch):
    """Sequences of each domain in each step `[steps, M]`, as a real ledger deals them out."""
    weights = named(weights)
    ledger = ledgers.start(seed, dict.fromkeys(weights, 10**6), weights)
    domain = ledgers.lookup(ledger, np.arange(steps * batch)).domain.reshape(steps, batch)
    return (domain[:, :, None] == np.arange(len(weights))).sum(1)


def watch(counts_KM, weights_KM, *, batch, filled_M=1.0):
    """The steps at which an alarm was raised, and the first alarm."""
    state, raised, names = supply.start(counts_KM.shape[1]), [], tuple(named(weights_KM[0]))
    for step, (counts_M, weights_M) in enumerate(zip(counts_KM, weights_KM, strict=True), 1):
        state, alarms = supply.observe(
            SETTINGS,
            state,
            counts_M * (LENGTH * filled_M),
            weights_M=weights_M,
            context=synthetic.context(step, batch=batch),
            names=names,
        )
        raised += [(step, alarm) for alarm in alarms]
    return raised


@pytest.mark.parametrize("domains,batch", [(2, 4), (10, 8), (10, 256), (1000, 8), (1000, 64)])
@pytest.mark.parametrize("seed", range(3))
def test_a_reader_that_obeys_is_never_accused(domains, batch, seed):
    """Whatever the weights are, and though domains are padded unlike."""
    draw = np.random.default_rng(seed)
    weights = draw.dirichlet(np.full(domains, 0.5))
    counts = given(weights, seed=seed, steps=1500, batch=batch)
    padded = draw.uniform(0.75, 1.0, domains)
    assert watch(counts, np.tile(weights, (1500, 1)), batch=batch, filled_M=padded) == []


@pytest.mark.parametrize("skewed,within", [(2, 3), (5, 10)])
def test_other_domains_than_asked_for_are_seen_in_a_few_steps(skewed, within):
    asked, read = np.full(10, 0.1), np.zeros(10)
    read[:skewed] = 1 / skewed
    obeyed = given(asked, seed=0, steps=100, batch=8)
    wrong = given(read, seed=0, steps=100, batch=8)
    raised = watch(np.concatenate([obeyed, wrong]), np.tile(asked, (200, 1)), batch=8)
    step, alarm = raised[0]
    assert 100 < step <= 100 + within
    assert alarm.kind == "mixture" and alarm.evidence["expected"] == pytest.approx(0.1)


def test_what_nobody_asked_for_is_seen_among_a_thousand():
    asked = np.full(1000, 1e-3)
    counts = np.zeros((40, 1000))
    counts[:, 7] = 8
    step, alarm = watch(counts, np.tile(asked, (40, 1)), batch=8)[0]
    assert step == SETTINGS.pause + 1 and alarm.evidence["domain"] == "domain_7"


def kinds_of(read_KM, told_KM):
    """Alarms of the mixture that the whole monitor raises, reading and being told these shares."""
    settings = monitor.MonitorSettings(
        domains=synthetic.DOMAINS, languages=synthetic.LANGUAGES, layers=4
    )
    state, kinds = monitor.start(settings), []
    steps = zip(synthetic.run(0, len(read_KM)), read_KM, told_KM, strict=True)
    for (signals, context), read_M, told_M in steps:
        weights = dict(zip(synthetic.DOMAINS, told_M.tolist(), strict=True))
        signals = signals._replace(domain_tokens_M=read_M * synthetic.TOKENS)
        context = dataclasses.replace(context, weights=weights)
        state, assessment = monitor.observe(settings, state, signals, context=context)
        kinds += [alarm.kind for alarm in assessment.alarms if alarm.kind == "mixture"]
    return kinds


def test_steps_that_were_on_their_way_when_the_mixture_changed_do_not_count():
    """The monitor starts anew with each mixture, and the first steps may be of the one before."""
    before, after = np.array([0.9, 0.1, 0, 0]), np.array([0.1, 0.9, 0, 0])
    told = np.concatenate([np.tile(before, (60, 1)), np.tile(after, (60, 1))])
    late = np.roll(told, 4, axis=0)
    late[:4] = before
    assert kinds_of(late, told) == []
    assert kinds_of(np.tile(before, (120, 1)), told) == ["mixture"]
