import dataclasses
import math

import numpy as np
import pytest

from aquila_jax.ate import data_rules, policy
from aquila_jax.ate.memory import PolicyState
from aquila_jax.ate.situation import Mix
from tests.ate.situations import later, situation, with_config, with_control

LANGUAGES = {"en_web": "en", "en_books": "en", "zh_web": "zh", "zh_law": "zh", "junk": "en"}
WEIGHTS = dict.fromkeys(LANGUAGES, 0.2)
CHANCE = math.log(2048)


def play(
    curves,
    *,
    steps=1000,
    languages=LANGUAGES,
    config=with_config(may=("gate",)),
    seed=0,
    weights=None,
):
    """Steps of a run whose domains follow `curves(name, tokens)`, and what was decided."""
    noise, decided = np.random.default_rng(seed), []
    names = list(languages)
    given = situation(step=1, config=config)
    weights = weights or {name: 1 / len(names) for name in names}
    for step in range(1, steps + 1):
        tokens = 1280.0 * step
        losses = {name: curves(name, tokens) + 0.007 * noise.normal() for name in names}
        given = later(given, given.memory, step - given.assessment.step, weights=weights,
                      languages=languages, chance=CHANCE, window=20)  # fmt: skip
        given = dataclasses.replace(
            given, assessment=dataclasses.replace(given.assessment, domain_loss=losses)
        )
        state, decision, _ = policy.decide(given)
        given = dataclasses.replace(given, memory=state)
        weights = decision.weights or weights
        if decision.rule:
            decided.append(decision)
    return decided, weights


def learning(name, tokens):
    """Each domain at its own level, falling by 0.4 nats per ln(token) as the pilot's did."""
    level = {"en_web": 4.2, "en_books": 4.6, "zh_web": 4.0, "zh_law": 3.4}.get(name, 5.4)
    return level - 0.4 * math.log(tokens / 256_000)


def garbage(name, tokens):
    return 7.6 + 20_000 / tokens if name == "junk" else learning(name, tokens)


@pytest.mark.parametrize("seed", range(5))
def test_random_tokens_are_gated_early_and_only_they(seed):
    decided, weights = play(garbage, seed=seed)
    assert [decision.evidence["domain"] for decision in decided] == ["junk"]
    assert decided[0].step <= 400  # of 1000
    assert weights["junk"] == data_rules.FLOOR and sum(weights.values()) == pytest.approx(1)
    kept = [share for name, share in weights.items() if name != "junk"]
    assert kept == pytest.approx([kept[0]] * 4)


@pytest.mark.parametrize("seed", range(5))
def test_a_hard_domain_that_learns_is_left_alone(seed):
    """5.4 nats at a quarter of the run, where the others have 4.2."""
    assert play(learning, seed=seed) == ([], dict.fromkeys(LANGUAGES, 0.2))


def test_what_stays_at_chance_at_first_is_gated_soon_unless_it_is_seldom_read():
    decided, _ = play(garbage, steps=90)
    assert [(each.step, each.evidence["domain"]) for each in decided] == [(16, "junk")]
    assert decided[0].evidence["loss"] > data_rules.NOTHING * decided[0].evidence["chance"]
    rare = {"en_web": 0.24, "en_books": 0.24, "zh_web": 0.24, "zh_law": 0.24, "junk": 0.04}
    assert not play(garbage, steps=90, weights=rare)[0]


def test_where_nothing_is_learned_no_domain_is_to_blame():
    assert not play(lambda name, tokens: 7.64 + (name == "junk") * 0.1)[0]


@pytest.mark.parametrize("count", [2, 3, 4, 7, 10])
def test_the_median_of_the_others_is_that(count):
    values = dict(enumerate(np.random.default_rng(count).integers(0, 5, count).tolist()))
    told = data_rules._of_the_others(values)
    for name in values:
        assert told[name] == np.median([x for other, x in values.items() if other != name])
    assert data_rules._of_the_others({"alone": 3.0}) == {"alone": math.inf}


def test_a_flat_domain_that_is_not_hard_is_left_alone():
    flat = lambda name, tokens: 3.0 if name == "zh_law" else learning(name, tokens)  # noqa: E731
    assert not play(flat)[0]


def test_where_all_domains_rise_none_is_gated():
    """Damaged weights: the hardest domain is flat, too, and it is not its data."""

    def damaged(name, tokens):
        return learning(name, min(tokens, 600_000)) + 0.02 * max(tokens / 1280 - 470, 0) ** 0.8

    assert not play(damaged)[0]


def test_the_only_domain_of_a_language_is_left_to_a_person():
    assert not play(garbage, languages=LANGUAGES | {"junk": "fr"})[0]


def test_without_leave_nothing_is_gated():
    assert not play(garbage, config=with_config())[0]


def test_the_slope_is_that_of_least_squares():
    x, y = np.random.default_rng(0).normal(size=(2, 8))
    (slope, _), covariance = np.polyfit(x, y, 1, cov="unscaled")
    left = y - np.polyval(np.polyfit(x, y, 1), x)
    error = math.sqrt(covariance[0, 0] * left @ left / 6)
    found = data_rules.line(tuple(zip(x.tolist(), y.tolist(), strict=True)))
    assert found == (pytest.approx(slope), pytest.approx(error))


def mixing(*, sequences=3000, progress=0.3, moved=0.1, troubled=0, decay=8500.0, **config):
    new = {"en": 0.5 + moved, "zh": 0.5 - moved}
    return situation(
        config=with_config(online_weights="aquila", **config), weights={"en": 0.5, "zh": 0.5},
        mix=Mix(new, {"algorithm": "aquila"}), sequences=sequences, progress=progress,
        control=with_control(decay_start=decay),
        memory=PolicyState(clock=299, troubled=troubled, loss=4.0),
    )  # fmt: skip


def test_online_weights_are_followed_in_calm_stable_stretches_only():
    found = data_rules.mix(mixing())
    assert found.weights == {"en": 0.6, "zh": 0.4}
    assert found.evidence == {"algorithm": "aquila", "moved": pytest.approx(0.1)}
    assert data_rules.mix(mixing(moved=0.004)) is None  # not worth an entry
    assert data_rules.mix(mixing(progress=0.09)) is None
    assert data_rules.mix(mixing(sequences=8500)) is None  # the decay has begun
    assert data_rules.mix(mixing(troubled=290)) is None
    assert data_rules.mix(situation(weights={"en": 1.0})) is None  # nobody asked


def test_a_schedule_that_decays_from_the_warm_up_on_lets_the_mixture_move_until_its_last_part():
    assert data_rules.mix(mixing(decay=500.0)).weights == {"en": 0.6, "zh": 0.4}
    assert data_rules.mix(mixing(decay=500.0, sequences=6990)) is not None
    assert data_rules.mix(mixing(decay=500.0, sequences=7000)) is None


@pytest.mark.parametrize(
    "wrong, match",
    [
        ({"online_weights": "odm"}, "online_weights='odm' must be 'off', 'aquila' or 'ado'"),
        ({"online_weights": "ado", "policy": "peers"}, "needs mode 'shadow' or 'act' and policy"),
        ({"language_balance": {"zh": 0.0}}, "language_balance=.* must be positive"),
    ],
)
def test_settings_of_online_weights_are_checked(wrong, match):
    with pytest.raises(ValueError, match=match):
        with_config(**wrong)
