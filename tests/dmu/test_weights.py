"""Online weights: closed forms, published values, bounds that hold for any input, known failures."""

import numpy as np
import pytest
from scipy import optimize

from aquila_jax.dmu import repetition, weights
from aquila_jax.dmu.weights import Bounds, Memory, Progress

WIDE = Bounds(floor=0.0, least=0.0, most=1e9, step=1e9, epochs=1e9)


def progress(prior, speed, error=0.01, **changes):
    prior = np.array(prior, float) / np.sum(prior)
    count = len(prior)
    plain = {
        "prior": prior, "weights": prior, "speed": np.array(speed, float),
        "error": np.full(count, error), "sizes": np.full(count, 10_000.0),
        "seen": np.zeros(count), "left": 1000.0,
    }  # fmt: skip
    return Progress(**plain | changes)


def test_ado_in_closed_form():
    """Preference, average and policy of arXiv 2410.11820, step for step."""
    told = progress([0.5, 0.3, 0.2], [0.2, 0.4, 0.1])
    memory = Memory(told.prior, np.array([0.5, 0.25, 0.25]), 0)
    credit = 0.9 * memory.credit + 0.1 * told.prior
    rho = told.prior * credit**0.5 * told.speed
    rho = rho / rho.sum()
    found, after = weights.update("ado", told, memory, groups=(), bounds=WIDE)
    np.testing.assert_allclose(found, 0.1 * rho + 0.9 * told.prior, rtol=1e-9)
    np.testing.assert_allclose(after.average, 0.5 * told.prior + 0.5 * rho, rtol=1e-12)
    assert after.updates == 1


def test_ado_keeps_every_domain_above_its_least():
    told = progress([1, 1, 1], [1.0, 1.0, 1e-9])
    assert weights.ado(told, weights.start(told.prior))[2] == pytest.approx(0.01 / 1.01)


@pytest.mark.parametrize("domains", [4, 50, 1000])
def test_ado_prefers_a_fast_domain_however_many_there_are(domains):
    told = progress(np.ones(domains), np.where(np.arange(domains) == 0, 5.0, 1.0))
    found = weights.ado(told, weights.start(told.prior))
    np.testing.assert_allclose(found[0] / found[1:], 5.0, rtol=1e-9)


@pytest.mark.parametrize("epochs", [1, 2, 8, 40])
def test_a_domain_read_often_gets_what_one_more_of_its_tokens_is_worth(epochs):
    told = progress([1, 1], [0.2, 0.2], seen=np.array([10_000.0 * epochs, 0.0]))
    worn, fresh = weights.aquila(told, weights.start(told.prior))
    assert worn / fresh == pytest.approx(repetition.repeated_token_value(epochs), rel=1e-12)


def test_equal_speeds_and_fresh_data_leave_the_prior():
    told = progress([0.6, 0.3, 0.1], [0.2, 0.2, 0.2])
    for bounds in (WIDE, Bounds()):
        found, _ = weights.update(
            "aquila", told, weights.start(told.prior), groups=(), bounds=bounds
        )
        np.testing.assert_allclose(found, told.prior, rtol=1e-9)


def test_speeds_that_are_noise_leave_the_prior_and_sure_ones_do_not():
    speed = np.array([0.1, 0.2, 0.4])
    np.testing.assert_allclose(weights.shrink(speed, np.zeros(3)), speed, rtol=1e-6)
    alike = weights.shrink(speed, np.full(3, 0.5))
    np.testing.assert_allclose(alike, alike[0], rtol=1e-9)
    between = weights.shrink(speed, np.full(3, 0.1))
    assert speed[0] < between[0] < between[1] < between[2] < speed[2]


@pytest.mark.parametrize("name", weights.ALGORITHMS)
def test_a_domain_that_is_not_read_needs_no_speed(name):
    told = progress([1, 0, 1], [0.2, np.nan, 0.1])
    found = weights.ALGORITHMS[name](told, weights.start(told.prior))
    assert np.isfinite(found).all() and found[1] == 0 and found.sum() == pytest.approx(1)


def test_the_spread_between_domains_is_found():
    rng = np.random.default_rng(0)
    found = [
        weights.spread_between(rng.normal(1.0, np.hypot(0.2, error)), error)
        for error in rng.uniform(0.05, 0.4, (200, 30))
    ]
    assert np.mean(found) == pytest.approx(0.2**2, rel=0.1)


def test_a_domain_that_nothing_is_known_of_does_not_silence_the_others():
    """One flat domain (its speed is at the least, so that its logarithm is unknown) did."""
    told = progress([1, 1, 1, 1], [0.6, 0.9, 0.7, 1e-4], error=0.1)
    told = told._replace(error=np.array([0.1, 0.1, 0.1, 500.0]))
    found = weights.aquila(told, weights.start(told.prior))
    assert found[3] < 0.05 and found[1] > found[0]


def test_a_worn_domain_gives_way():
    told = progress([1, 1], [0.2, 0.2001], seen=np.array([160_000.0, 0.0]), error=1e-6)
    found = weights.aquila(told, weights.start(told.prior))
    assert found[0] < found[1]
    cap = progress([1, 1], [0.2, 0.2], sizes=np.array([100.0, 1e5]), seen=np.array([380.0, 0.0]))
    bounded, _ = weights.update("aquila", cap, weights.start(cap.prior), groups=())
    assert bounded[0] == pytest.approx(0.5 / 1.25)  # on its way down, a step at a time
    for _ in range(20):
        cap = cap._replace(weights=bounded)
        bounded, _ = weights.update("aquila", cap, weights.start(cap.prior), groups=())
    assert bounded[0] == pytest.approx(20 / 1000)  # what is left of four epochs, of what is left


def test_an_unknown_speed_changes_nothing():
    told = progress([1, 1], [0.2, np.nan])
    memory = weights.start(told.prior)
    assert weights.update("aquila", told, memory, groups=()) == (None, memory)


@pytest.mark.parametrize("name", weights.ALGORITHMS)
def test_bounds_hold_whatever_the_speeds(name):
    rng = np.random.default_rng(3)
    for _ in range(100):
        count = int(rng.integers(2, 12))
        prior = rng.dirichlet(np.ones(count))
        now = prior * rng.uniform(0.8, 1.25, count)
        told = progress(prior, np.exp(rng.normal(0, 3, count)), weights=now / now.sum())
        found, _ = weights.update(name, told, weights.start(told.prior), groups=())
        assert found.sum() == pytest.approx(1) and (found >= 0).all()
        ratio = found / told.weights
        assert ratio.max() < 1.2501 and ratio.min() > 1 / 1.2501


def test_after_many_updates_floors_and_ceilings_hold():
    told = progress([0.5, 0.3, 0.15, 0.05], [10.0, 1e-3, 1e-3, 1e-3])
    memory = weights.start(told.prior)
    for _ in range(300):
        found, memory = weights.update("aquila", told, memory, groups=())
        told = told._replace(weights=found)
    assert (found >= np.maximum(0.01, told.prior / 3) - 1e-9).all()
    assert (found <= 3 * told.prior + 1e-9).all() and found[0] > 0.6


def test_a_domain_that_was_gated_stays_out():
    now = np.array([0.499, 0.499, 0.002])
    told = progress([1, 1, 1], [0.2, 0.1, 9.0], weights=now)
    found, _ = weights.update("aquila", told, weights.start(told.prior), groups=())
    assert found[2] == pytest.approx(0.002) and found.sum() == pytest.approx(1)


def test_the_languages_keep_their_balance():
    languages = ["en", "en", "zh", "code"]
    told = progress([0.3, 0.3, 0.3, 0.1], [0.5, 0.5, 1e-4, 0.5])
    groups = weights.balance(languages, told.prior, {"zh": 1.0, "en": 2.0})
    assert groups[0][1] == pytest.approx(0.8 * 0.9 / 3)
    memory, zh = weights.start(told.prior), []
    for _ in range(200):
        found, memory = weights.update("aquila", told, memory, groups=groups)
        told = told._replace(weights=found)
        zh.append(found[2])
    assert min(zh) >= 0.24 - 1e-6 and zh[-1] == pytest.approx(0.24, abs=1e-6)
    free = weights.project(found, np.zeros(4), np.ones(4))
    np.testing.assert_allclose(free, found, rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_projection_is_the_nearest_point(seed):
    """Against a general optimiser of KL(p || q) under the same bounds."""
    rng = np.random.default_rng(seed)
    q, low, high = rng.dirichlet(np.ones(5)), np.full(5, 0.05), np.full(5, 0.4)
    members = np.array([True, True, False, False, False])
    floor = min(0.95, q[members].sum() + 0.15)
    found = weights.project(q, low, high, [(members, floor)])
    reference = optimize.minimize(
        lambda p: float(np.sum(p * np.log(p / q))), np.full(5, 0.2), method="SLSQP",
        bounds=list(zip(low, high, strict=True)), options={"ftol": 1e-12, "maxiter": 300},
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "ineq", "fun": lambda p: p[members].sum() - floor},
        ],
    )  # fmt: skip
    np.testing.assert_allclose(found, reference.x, atol=2e-4)


def test_bounds_that_leave_nothing_are_widened_alike():
    q = np.array([0.5, 0.5])
    np.testing.assert_allclose(weights.project(q, np.zeros(2), np.array([0.1, 0.3])), [0.25, 0.75])
    np.testing.assert_allclose(weights.project(q, np.array([0.9, 0.6]), np.ones(2)), [0.6, 0.4])
    everything = (np.array([True, False]), 0.9)
    shares = weights.project(q, np.zeros(2), np.array([0.7, 1.0]), [everything])
    np.testing.assert_allclose(shares, [0.7, 0.3])


def test_known_failure_ado_with_a_natural_prior_makes_the_rich_richer():
    """Science 4.4, reading 8: what `aquila` leaves out on purpose."""
    told = progress([0.45, 0.3, 0.24, 0.01], [0.2] * 4)
    ado = weights.ado(told, weights.start(told.prior))
    aquila = weights.aquila(told, weights.start(told.prior))
    assert ado[0] > told.prior[0] and aquila[0] == pytest.approx(told.prior[0])
