import numpy as np
import pytest

from aquila_jax.tsm import fit, law

TRUTH = law.Parameters(2.7, 1.05, 0.45, 0.14)


def known(truth=TRUTH, *, share=1.0, steps=24_000, noise=0.0, seed=0, count=120):
    """Points of a run that decays over its last fifth, up to a share of it; and where it ends."""
    rate = np.minimum(1, (steps - np.arange(1, steps + 1)) / (0.2 * steps))
    plan = law.Plan(learning_rate=rate, batch=np.ones(steps), warmup=500)
    where = law.coordinates(plan, law.memory(steps))
    index = np.unique(np.geomspace(800, share * steps, count).astype(int)) - 1
    loss = law.curve(truth, where.progress[index], where.annealing[index])
    loss = loss + noise * np.random.default_rng(seed).standard_normal(len(index))
    return fit.Points(where.progress[index], where.annealing[index], loss), where


def prior(**change):
    return fit.Prior(**({"exponent": 0.46, "drop": 0.15} | change))


@pytest.mark.parametrize("exponent", [0.25, 0.45, 0.8])
@pytest.mark.parametrize("drop", [0.05, 0.2])
def test_a_whole_curve_gives_its_parameters_back(exponent, drop):
    truth = law.Parameters(2.7, 1.05, exponent, drop)
    points, _ = known(truth, count=2000)
    found = fit.fit(points, prior(exponent_width=1.0, drop_width=1.0)).best
    np.testing.assert_allclose(found, truth, rtol=0.03)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_final_loss_from_a_part_of_the_curve(share):
    points, where = known(share=share, noise=0.002)
    mean, deviation = fit.predict(
        fit.fit(points, prior(drop=0.14)), where.progress[-1:], where.annealing[-1:]
    )
    truth = law.curve(TRUTH, where.progress[-1], where.annealing[-1])
    assert abs(mean[0] - truth) < 0.01
    assert abs(mean[0] - truth) < 2 * deviation[0]


def test_before_the_decay_its_worth_is_the_prior_s_alone():
    points, where = known(share=0.5)
    end = where.progress[-1:], where.annealing[-1:]
    low, high = (fit.predict(fit.fit(points, prior(drop=drop)), *end)[0][0] for drop in (0.1, 0.2))
    assert low - high == pytest.approx(0.1 * where.annealing[-1], rel=0.01)
    wide, narrow = (
        fit.predict(fit.fit(points, prior(drop_width=width)), *end)[1][0] for width in (0.4, 0.1)
    )
    assert wide > 2 * narrow


def test_posterior_covers_the_truth_of_runs_drawn_from_the_prior():
    rng, inside = np.random.default_rng(1), []
    for seed in range(60):
        truth = law.Parameters(
            2.7, 1.05, 0.46 * np.exp(0.15 * rng.standard_normal()), 0.15 * (1 + 0.15 * rng.standard_normal())
        )  # fmt: skip
        points, where = known(truth, share=0.4, noise=0.004, seed=seed)
        end = where.progress[-1:], where.annealing[-1:]
        mean, deviation = fit.predict(fit.fit(points, prior()), *end)
        inside.append(abs(mean[0] - law.curve(truth, *end)[0]) < 1.645 * deviation[0])
    assert np.mean(inside) >= 0.85


def test_spikes_hardly_move_it():
    points, where = known(share=0.6, noise=0.002)
    spiked = points.loss.copy()
    spiked[::10] += 0.5
    end = where.progress[-1:], where.annealing[-1:]
    clean = fit.predict(fit.fit(points, prior()), *end)[0][0]
    assert fit.predict(fit.fit(points._replace(loss=spiked), prior()), *end)[0][0] == pytest.approx(
        clean, abs=0.02
    )


def test_same_points_same_bits():
    points, _ = known(share=0.6, noise=0.003)
    copies = [fit.fit(fit.Points(*(array.copy() for array in points)), prior()) for _ in range(2)]
    for one, other in zip(*copies, strict=True):
        assert np.array_equal(one, other)


def test_alike_errors_widen_the_posterior():
    points, where = known(share=0.4)
    rng = np.random.default_rng(0)
    white = 0.004 * rng.standard_normal(len(points.loss))
    wave = 0.004 * 2**0.5 * np.sin(np.arange(len(points.loss)) / 4)
    alone, alike = (fit.fit(points._replace(loss=points.loss + e), prior()) for e in (white, wave))
    assert alone.inflation < 2 < 5 < alike.inflation
    end = where.progress[-1:], 0 * where.annealing[-1:]
    assert fit.predict(alike, *end)[1][0] > 1.5 * fit.predict(alone, *end)[1][0]


def test_difference_is_surer_than_its_two_sides():
    points, where = known(share=0.4, noise=0.004)
    found = fit.fit(points, prior())
    ends = (where.progress[-1], where.annealing[-1]), (where.progress[-1], 0.5)
    change, deviation = fit.difference(found, *ends)
    both, alone = fit.predict(found, np.array([e[0] for e in ends]), np.array([e[1] for e in ends]))
    assert change == pytest.approx(both[1] - both[0], rel=1e-6)
    assert deviation < min(alone)
    assert fit.difference(found, ends[0], ends[0]) == (0.0, 0.0)


def test_a_rising_loss_has_no_fit():
    points, _ = known(share=0.5)
    assert fit.fit(points._replace(loss=points.loss[::-1].copy()), prior()) is None


def test_priors():
    wide = fit.default_prior(1e8)
    assert (wide.exponent, wide.drop) == pytest.approx((0.52, 0.115 * 4**0.12))
    assert wide.source == "default"
    proxies = [(1e7, law.Parameters(3, 1, a, c)) for a, c in [(0.4, 0.1), (0.5, 0.12), (0.9, 0.3)]]
    near = fit.proxy_prior(1e8, proxies)
    assert near.exponent == 0.5
    assert near.drop == pytest.approx(0.12 * 10**0.12)
    assert near.source == "proxy"
    assert near.drop_width < fit.widened(near).drop_width == wide.drop_width
    assert fit.widened(wide) == wide
    with pytest.raises(ValueError, match="use default_prior"):
        fit.proxy_prior(1e8, [])


def test_the_default_is_what_was_seen_at_both_ends_and_wider_between():
    for size, exponent, drop in (fit.SHORT, fit.LONG):
        seen = fit.default_prior(size)
        assert (seen.exponent, seen.drop) == pytest.approx((exponent, drop))
        assert seen.drop_width == fit.DEFAULT_DROP_WIDTH
    sizes = np.geomspace(fit.SHORT[0], fit.LONG[0], 20)[1:-1]
    between = [fit.default_prior(size) for size in sizes]
    assert all(fit.SHORT[1] < one.exponent < fit.LONG[1] for one in between)
    assert all(fit.LONG[2] < one.drop < fit.SHORT[2] for one in between)
    assert all(one.drop_width > fit.DEFAULT_DROP_WIDTH for one in between)


def test_a_small_run_at_another_temperature_is_believed_to_anneal_by_the_law():
    usual = fit.default_prior(1e6)
    told = [fit.default_prior(1e6, fit.SHORT_TEMPERATURE * x) for x in (1 / 16, 1 / 4, 1, 4, 16)]
    root8 = 8**0.5  # 4^(3/4)
    expected = [1 / root8, 1 / root8, 1, root8, root8]
    assert [one.drop / usual.drop for one in told] == pytest.approx(expected)
    assert len({one.exponent for one in told}) == 1
    assert fit.default_prior(1e8, fit.SHORT_TEMPERATURE / 4) == fit.default_prior(1e8)


def test_the_temperature_is_that_of_the_highest_rate_and_whole_steps():
    plan = law.Plan(
        learning_rate=np.r_[1e-3, 4e-3, 4e-3, 1e-3], batch=np.array([8.0, 8, 8, 32]), warmup=1
    )
    assert law.hottest(plan, 64) == pytest.approx(4e-3 / 512**0.5)
