import numpy as np
import pytest

from aquila_jax.tsm import fit, forecast, law, points, progress, whatif

TRUTH = law.Parameters(2.7, 1.05, 0.45, 0.14)


@pytest.fixture(scope="module")
def halfway():
    """A stable run at half of its 8000 steps, whose last fifth decays, and its law."""
    every = np.arange(1, 8001)
    rate = np.minimum(every / 200, 1) * np.minimum((8000 - every) / 1600, 1)
    plan = law.Plan(learning_rate=rate, batch=np.full(8000, 16), warmup=200)
    steps = np.arange(50, 4001, 50)
    known = true_curve(plan)[steps - 1] + 0.002 * np.random.default_rng(0).standard_normal(80)
    observed = points.Observed(steps.astype(float), known)
    return forecast.estimate(observed, plan, fit.Prior(exponent=0.46, drop=0.14, drop_width=0.1))


def true_curve(plan):
    where = law.coordinates(plan, law.memory(8000))
    return law.curve(TRUTH, where.progress, where.annealing)


def test_gains_are_those_of_the_law(halfway):
    plans = whatif.cooldowns(halfway)
    assert set(plans) == {"0.05", "0.1", "0.15", "0.2", "0.3", "0.4", "now"}
    end = true_curve(halfway.plan)[-1]
    for name, outcome in whatif.compare(halfway, plans).items():
        gain = end - true_curve(plans[name])[-1]
        assert outcome.gain == pytest.approx(gain, abs=0.004)
        assert abs(outcome.gain - gain) < 3 * outcome.deviation + 1e-3


def test_a_gain_is_no_surer_than_such_gains_were(halfway):
    """Of what the law promises a longer decay, two thirds came (ten pairs of runs)."""
    told = whatif.compare(halfway, whatif.cooldowns(halfway))
    assert max(abs(outcome.gain) for outcome in told.values()) > 0.01
    for outcome in told.values():
        assert outcome.deviation >= whatif.GAIN_ERROR * abs(outcome.gain)
        assert outcome.probability < 0.98


def test_the_same_plan_gains_nothing(halfway):
    same = whatif.compare(halfway, {"same": halfway.plan})["same"]
    assert (same.gain, same.deviation, same.probability) == (0, 0, 0)


def test_cooldowns_never_start_in_the_past(halfway):
    late = halfway._replace(step=7000)
    plans = whatif.cooldowns(late)
    assert set(plans) == {"0.05", "0.1", "now"}
    for plan in plans.values():
        np.testing.assert_array_equal(plan.learning_rate[:7000], late.plan.learning_rate[:7000])


def test_reach(halfway):
    loss = true_curve(halfway.plan)
    found = whatif.reach(halfway, 3.1, 1.6)
    assert found.step == pytest.approx(np.argmax(loss <= 3.1) + 1, abs=100)
    assert found.earliest <= found.step <= found.latest
    assert whatif.reach(halfway, 2.0, 1.6) == (None, None, None)
    assert whatif.reach(halfway, 9.0, 1.6).step == halfway.step


def test_chance_falls_with_the_target(halfway):
    end = true_curve(halfway.plan)[-1]
    chances = [whatif.chance(halfway, end + offset, 1.6) for offset in (-0.2, -0.02, 0, 0.02, 0.2)]
    assert chances == sorted(chances)
    assert chances[0] < 0.01 < 0.2 < chances[2] < 0.8 < 0.99 < chances[-1]


def test_more_tokens_hardly_help_from_where_the_law_says(halfway):
    flat = whatif.saturation(halfway)
    there = np.array([flat.step / 1000, 1.1 * flat.step / 1000])
    before, after = law.curve(TRUTH, there, np.zeros(2))
    assert before - after == pytest.approx(flat.gain, rel=0.15)
    now = true_curve(halfway.plan)[halfway.step - 1]
    _, _, threshold = progress.plateau(loss=now, slope=-0.1, error=0.01)
    assert flat.gain == pytest.approx(threshold, rel=0.01)  # the alarm's, too
    assert flat.earliest < flat.step < flat.latest
    assert not flat.trusted and flat.step > 3 * 4000


def test_what_lies_within_three_times_the_steps_seen_is_trusted(halfway):
    steeper = halfway.fit.mean * np.array([1.0, 0.15, 1.0])  # less left to learn
    flat = whatif.saturation(halfway._replace(fit=halfway.fit._replace(mean=steeper)))
    assert flat.trusted and flat.step < 3 * 4000
