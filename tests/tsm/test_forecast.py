import dataclasses

import numpy as np
import pytest

from aquila_jax.tsm import band, fit, forecast, history, law, points

TRUTH = law.Parameters(2.7, 1.05, 0.45, 0.14)
PRIOR = fit.Prior(exponent=0.46, drop=0.15)
SCORES = tuple(0.1 * n for n in range(1, 31))
CALIBRATION = band.Calibration(source="proxy", kinds=(SCORES,))


def a_plan(steps=10_000, warmup=200, decay=0.2):
    every = np.arange(1, steps + 1)
    rate = np.minimum(every / warmup, 1) * np.minimum((steps - every) / (decay * steps), 1)
    return law.Plan(learning_rate=rate, batch=np.full(steps, 16), warmup=warmup)


def seen(plan, until, *, every=50, noise=0.002, truth=TRUTH, seed=0):
    where = law.coordinates(plan, law.memory(plan.steps))
    loss = law.curve(truth, where.progress, where.annealing)
    steps = np.arange(every, until + 1, every)
    noise = noise * np.random.default_rng(seed).standard_normal(len(steps))
    return points.Observed(steps.astype(float), loss[steps - 1] + noise), loss


def tell(observed, plan, **change):
    described = {"prior": PRIOR, "calibrations": {"proxy": CALIBRATION}, "domains": {}}
    return forecast.forecast(observed, plan, **(described | change))


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_the_end_of_a_known_law_is_found(share):
    plan = a_plan()
    observed, loss = seen(plan, int(share * plan.steps))
    told = tell(observed, plan)
    assert told.step == share * plan.steps
    assert told.final_loss == pytest.approx(loss[-1], abs=0.01)
    assert told.low < loss[-1] < told.high
    assert (told.coverage, told.calibrated_on) == (0.9, 30)
    assert told.parameters["exponent"] == pytest.approx(0.45, abs=0.1)


def test_a_training_loss_serves_as_well():
    plan, kept, rng = a_plan(), history.start(1), np.random.default_rng(0)
    _, loss = seen(plan, 1)
    for step in range(1, 5001):
        noisy = loss[step - 1] + 0.05 * rng.standard_normal()
        sums = np.zeros((2, 1)) if step % 97 == 0 else np.array([[noisy], [1.0]])
        told = {"tokens": step, "learning_rate": 1.0, "batch": 1.0}
        kept = history.add(kept, step=step, sums_M=sums, **told)
    told = tell(points.whole(kept), plan)
    assert told.final_loss == pytest.approx(loss[-1], abs=0.02)


def test_replay_is_bit_exact():
    plan = a_plan()
    observed, _ = seen(plan, 4000)
    domains = {"en": observed, "zh": seen(plan, 4000, seed=1)[0]}
    copies = [
        tell(points.Observed(*(a.copy() for a in observed)), dataclasses.replace(plan), domains=domains)
        for _ in range(2)
    ]  # fmt: skip
    assert copies[0] == copies[1]


@pytest.mark.parametrize(
    ("until", "every", "warmup"),
    [(480, 10, 200), (4000, 400, 200), (0, 50, 200), (4000, 50, 3800), (1200, 25, 700)],
)
def test_silent_before_there_is_enough(until, every, warmup):
    """300 steps after the warm-up and 12 points after one and a half of it."""
    plan = a_plan(warmup=warmup)
    assert tell(seen(plan, until, every=every)[0], plan) is None


def test_the_first_quarter_of_what_was_seen_does_not_count():
    plan = a_plan()
    observed, _ = seen(plan, 4000)
    plunge = np.where(observed.steps <= 1000, 2.0, 0.0)
    other = points.Observed(observed.steps, observed.loss + plunge)
    assert tell(other, plan) == tell(observed, plan)


def test_no_band_without_its_calibration():
    plan = a_plan()
    observed, _ = seen(plan, 4000)
    few = dataclasses.replace(CALIBRATION, kinds=(SCORES[:10],))
    for change in (
        {"calibrations": {}},
        {"calibrations": {"proxy": few}},
        {"prior": fit.default_prior(1e8)},
    ):
        told = tell(observed, plan, **change)
        assert (told.low, told.high, told.calibrated_on) == (None, None, 0)
        assert np.isfinite(told.final_loss)


def test_the_band_is_as_wide_as_its_calibration_says():
    plan = a_plan()
    observed, _ = seen(plan, 4000)
    told = tell(observed, plan)
    assert told.high - told.final_loss == pytest.approx(2.8 * told.parameters["deviation"])
    worse = dataclasses.replace(CALIBRATION, kinds=(tuple(2 * s for s in SCORES),))
    wide = tell(observed, plan, calibrations={"proxy": worse})
    assert wide.high - wide.low == pytest.approx(2 * (told.high - told.low))


def test_each_domain_has_its_own_end():
    plan = a_plan()
    truths = {"en": TRUTH, "zh": law.Parameters(3.4, 1.5, 0.4, 0.17)}
    observed = {name: seen(plan, 5000, truth=truth) for name, truth in truths.items()}
    domains = {name: pair[0] for name, pair in observed.items()}
    short = points.Observed(np.array([50.0]), np.array([4.0]))
    told = tell(domains["en"], plan, domains=domains | {"new": short})
    assert set(told.domains) == {"en", "zh"}
    for name, (_, loss) in observed.items():
        assert told.domains[name] == pytest.approx(loss[-1], abs=0.02)


def test_a_domain_may_differ_from_the_whole():
    """What its decay is worth is believed less firmly, and so sooner learned from the data."""
    plan = a_plan()
    observed, loss = seen(plan, 9000, truth=TRUTH._replace(drop=0.3))
    whole = tell(observed, plan, domains={"zh": observed})
    assert abs(whole.domains["zh"] - loss[-1]) < 0.7 * abs(whole.final_loss - loss[-1])


def test_non_finite_losses_are_no_points():
    plan = a_plan()
    observed, _ = seen(plan, 4000)
    holed = observed.loss.copy()
    holed[::9] = np.nan
    assert tell(observed._replace(loss=holed), plan).final_loss == pytest.approx(
        tell(observed, plan).final_loss, abs=0.01
    )


@pytest.mark.parametrize("rate", ["nought", "jump"])
@pytest.mark.parametrize("loss", ["flat", "rising", "noise"])
def test_odd_runs_never_break_the_monitor(rate, loss):
    every = np.arange(1, 3001)
    rates = {"nought": np.where(every > 250, 0.0, 1.0), "jump": np.where(every > 900, 30.0, 1.0)}
    plan = law.Plan(learning_rate=rates[rate], batch=np.ones(3000), warmup=200)
    steps = np.arange(10.0, 1500.0, 10)
    noise = np.random.default_rng(0).exponential(3.0, len(steps))
    losses = {"flat": np.full(len(steps), 3.0), "rising": 2 + steps / 1e3, "noise": noise}
    told = tell(points.Observed(steps, losses[loss]), plan)
    numbers = [told.final_loss, *told.parameters.values()] if told else []
    assert np.isfinite(numbers).all()


def test_a_loss_beyond_the_plan_is_refused():
    observed, _ = seen(a_plan(), 5000)
    with pytest.raises(ValueError, match="step 5000 lies beyond the plan's 4000 steps"):
        tell(observed, a_plan(4000))


@pytest.mark.parametrize(("exponent", "scale", "expected"), [(0.45, 1.5, 0.0), (1.2, 0.05, 1.0)])
def test_plateau(exponent, scale, expected):
    plan = a_plan(decay=0.01)
    observed, _ = seen(plan, 5000, truth=law.Parameters(2.7, scale, exponent, 0.14))
    made = forecast.estimate(observed, plan, fit.Prior(exponent=exponent, drop=0.15))
    assert forecast.plateau(made) == pytest.approx(expected, abs=0.05)


def test_convergence_by_hand():
    plan = a_plan()
    observed, _ = seen(plan, 10_000, noise=0.0, every=5)
    made = forecast.estimate(observed, plan, PRIOR)
    middle, low, high = forecast.convergence(made, 0.3)
    assert low <= middle <= high
    assert middle == pytest.approx((1.05 / 0.3) ** (1 / 0.45), rel=0.1)


def test_a_forecast_that_moves_has_a_wider_band():
    """A loss that leaves its law: each forecast lies below the one before, and says so."""
    plan = a_plan()
    steady, _ = seen(plan, 6000)
    falling = steady.loss - 0.1 * np.maximum(steady.steps / 6000 - 0.5, 0)
    moved = [
        forecast.estimate(points.Observed(steady.steps, loss), plan, PRIOR).moved
        for loss in (steady.loss, falling)
    ]
    assert moved[0] < 0.01 < moved[1]
    made = forecast.estimate(points.Observed(steady.steps, falling), plan, PRIOR)
    here = np.array([made.step, plan.steps])
    deviation = forecast.trajectory(made, here)[1]
    unmoved = forecast.trajectory(made._replace(moved=0.0), here)[1]
    assert deviation[0] == unmoved[0]  # what is there is known
    assert deviation[1] == pytest.approx(np.hypot(unmoved[1], made.moved))


def test_how_far_a_forecast_has_moved_counts_less_as_the_run_ends():
    """Forecasts that move alike all the way: at the end nothing of it can be ahead."""
    plan = a_plan()
    whole, _ = seen(plan, plan.steps)
    falling = whole.loss - 0.1 * whole.steps / plan.steps
    ends = [0.5, 0.9, 0.99, 1.0]
    moved = [
        forecast.estimate(
            points.Observed(*(x[whole.steps <= end * plan.steps] for x in (whole.steps, falling))),
            plan,
            PRIOR,
        ).moved
        for end in ends
    ]
    assert moved == sorted(moved, reverse=True) and moved[0] > 0.01 and moved[-1] == 0


def test_trajectory_is_the_curve():
    plan = a_plan()
    observed, loss = seen(plan, 6000)
    made = forecast.estimate(observed, plan, PRIOR)
    later = np.arange(6001, 10_001, 100)
    mean, deviation = forecast.trajectory(made, later)
    assert np.abs(mean - loss[later - 1]).mean() < 0.005
    assert (deviation >= band.FLOOR).all()
