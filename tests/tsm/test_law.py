import numpy as np
import pytest

from aquila_jax.tsm import law


def a_plan(steps=4000, warmup=200, batch=16.0, decay=0.2):
    every = np.arange(1, steps + 1)
    rate = np.minimum(every / warmup, 1) * np.minimum((steps - every) / (decay * steps), 1)
    return law.Plan(learning_rate=3e-4 * rate, batch=np.full(steps, batch), warmup=warmup)


def test_progress_is_the_paper_s_area():
    plan = a_plan(3000, warmup=300, decay=0.3)
    area = np.cumsum(plan.learning_rate / plan.learning_rate[plan.warmup])
    told = law.coordinates(plan, 50, power=1.0)
    np.testing.assert_allclose(told.progress, 1e-3 * area, rtol=1e-9)


def test_a_lower_rate_learns_more_than_in_proportion():
    """At 1/16 of the rate a step counts for (1/16)^(3/4) = 1/8 of one."""
    plan = law.Plan(
        learning_rate=np.r_[np.ones(100), np.full(800, 1 / 16)], batch=np.ones(900), warmup=0
    )
    assert law.coordinates(plan, 50).progress[-1] == pytest.approx(0.2)


def test_annealing_is_the_noise_that_a_quadratic_loses():
    """SGD on h w^2 / 2 with unit noise: E[w^2] <- (1 - eta h)^2 E[w^2] + eta^2, level eta / 2h.

    By the exact recursion, to first order in eta h = 1 / (2 memory).
    """
    memory, steps = 200, 4000
    rate = np.r_[np.ones(2000), np.linspace(1, 0, 1500), np.full(500, 0.3)]
    plan = law.Plan(learning_rate=rate, batch=np.ones(steps), warmup=0)
    curvature, eta = 1.0, rate / (2 * memory)
    variance, variances = eta[0] / (2 * curvature), []
    for now in eta:
        variance = (1 - now * curvature) ** 2 * variance + now**2
        variances.append(variance)
    lost = 1 - np.array(variances) / variances[0]
    told = law.coordinates(plan, memory, power=1.0)
    np.testing.assert_allclose(told.annealing, lost, atol=2e-3)


def test_a_sudden_drop_by_hand():
    """1 - r after n steps at a third of the rate: (1 - 3^-0.75) (1 - (1 - 1 / (3 memory))^n)."""
    plan = law.Plan(
        learning_rate=np.r_[np.ones(100), np.full(300, 1 / 3)], batch=np.ones(400), warmup=10
    )
    told = law.coordinates(plan, 50).annealing
    expected = (1 - 3**-0.75) * (1 - (1 - 1 / 150) ** np.arange(1, 301))
    np.testing.assert_allclose(told[100:], expected, rtol=1e-9)
    assert not told[:100].any()


def test_nothing_is_forgotten_where_nothing_moves():
    rate = np.r_[np.ones(500), np.zeros(500)]
    plan = law.Plan(learning_rate=rate, batch=np.ones(1000), warmup=0)
    np.testing.assert_allclose(law.coordinates(plan, 20).annealing, 0, atol=1e-12)


def test_units_do_not_count():
    plan = a_plan()
    other = law.Plan(learning_rate=7 * plan.learning_rate, batch=3 * plan.batch, warmup=plan.warmup)
    for mine, theirs in zip(law.coordinates(plan, 100), law.coordinates(other, 100), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_square_root_rule_keeps_the_temperature():
    every = np.arange(1, 2001)
    batch = np.where(every > 1200, 4.0, 1.0)
    plan = law.Plan(learning_rate=np.sqrt(batch), batch=batch, warmup=0)
    where = law.coordinates(plan, 100)
    np.testing.assert_allclose(where.temperature, 1, rtol=1e-12)
    np.testing.assert_allclose(where.annealing, 0, atol=1e-12)
    tokens = np.cumsum(batch)
    np.testing.assert_allclose(1e3 * where.progress, tokens, rtol=1e-9)  # progress per token stays


def test_seesaw_is_a_halved_rate():
    """eta / sqrt(2) with 2 B has the temperature, and the progress per token, of eta / 2 with B."""
    halved = law.Plan(
        learning_rate=np.r_[np.ones(1000), np.full(1000, 0.5)], batch=np.ones(2000), warmup=0
    )
    seesaw = law.Plan(
        learning_rate=np.r_[np.ones(1000), np.full(500, 0.5**0.5)],
        batch=np.r_[np.ones(1000), np.full(500, 2.0)],
        warmup=0,
    )
    one, other = law.coordinates(halved, 100), law.coordinates(seesaw, 100)
    assert other.temperature[-1] == pytest.approx(one.temperature[-1])
    assert other.progress[-1] == pytest.approx(one.progress[-1])
    assert other.annealing[-1] == pytest.approx(one.annealing[-1], rel=0.02)


def test_annealing_is_nought_while_stable_and_one_at_the_end():
    plan = a_plan(8000, decay=0.5)
    annealing = law.coordinates(plan, law.memory(8000)).annealing
    assert not annealing[:4000].any()
    assert (np.diff(annealing[4000:]) >= 0).all()
    assert 0.7 < annealing[-1] < 1
    up = law.Plan(learning_rate=np.r_[np.full(999, 0.5), 1.0], batch=np.ones(1000), warmup=0)
    assert law.coordinates(up, 50).annealing[-1] < 0  # a rate that rises heats


@pytest.mark.parametrize(("steps", "expected"), [(400, 15), (10_000, 75), (10**6, 750)])
def test_memory(steps, expected):
    assert law.memory(steps) == expected


def test_curve_by_hand():
    loss = law.curve(law.Parameters(2.0, 1.0, 0.5, 0.1), np.array([1.0, 4.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(loss, [3.0, 2.4])


def test_cooldown_ends_the_plan_at_nought():
    plan = a_plan(decay=0.01)
    early = law.cooldown(plan, start=1000, end=2000)
    assert early.steps == 2000
    assert early.learning_rate[-1] == 0
    np.testing.assert_array_equal(early.learning_rate[:1000], plan.learning_rate[:1000])
    assert early.learning_rate[1249] == pytest.approx(0.5 * plan.learning_rate[999])  # sqrt(1/4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": np.ones(3)}, "must be"),
        ({"warmup": 4}, "warmup=4 must be less"),
        ({"warmup": -1}, "warmup=-1"),
        ({"learning_rate": np.array([1, 1, np.nan, 1])}, "finite"),
        ({"learning_rate": np.array([1, -1, 1, 1.0])}, "finite"),
        ({"batch": np.array([1, 0, 1, 1])}, "batches > 0"),
        ({"learning_rate": np.zeros(4)}, "learning_rate is 0 at step 2"),
    ],
)
def test_bad_plans_are_refused(change, message):
    good = {"learning_rate": np.ones(4), "batch": np.ones(4), "warmup": 1}
    with pytest.raises(ValueError, match=message):
        law.Plan(**(good | change))


@pytest.mark.parametrize(("start", "end"), [(100, 2000), (3000, 3000), (1000, 5000)])
def test_bad_cooldowns_are_refused(start, end):
    with pytest.raises(ValueError, match="cooldown from"):
        law.cooldown(a_plan(), start=start, end=end)
