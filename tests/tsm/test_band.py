import numpy as np
import pytest

from aquila_jax.tsm import band


def calibration(scores, progress=0.3):
    return band.Calibration(
        source="proxy", progress=(progress,) * len(scores), scores=tuple(map(float, scores))
    )


def test_factor_is_the_conformal_quantile():
    assert band.factor(calibration(range(1, 40)), progress=0.2, coverage=0.9) == (36.0, 39)
    assert band.factor(calibration(range(39, 0, -1)), progress=0.2, coverage=0.5) == (20.0, 39)


def test_no_band_without_enough_pairs():
    assert band.factor(calibration(range(band.MIN_PAIRS - 1)), progress=0.2, coverage=0.5) is None
    # 20 pairs cannot vouch for 99 %
    assert band.factor(calibration(range(20)), progress=0.2, coverage=0.99) is None


def test_pairs_of_the_same_half_of_the_run_count():
    both = band.Calibration(
        source="proxy", progress=(0.2,) * 30 + (0.8,) * 30 + (0.5,) * 5, scores=(1.0,) * 30 + (2.0,) * 35
    )  # fmt: skip
    assert band.factor(both, progress=0.4, coverage=0.9) == (1.0, 30)
    assert band.factor(both, progress=0.6, coverage=0.9) == (2.0, 35)
    few = band.Calibration(source="proxy", progress=(0.2,) * 19 + (0.8,) * 2, scores=(1.0,) * 21)
    assert band.factor(few, progress=0.9, coverage=0.9) == (1.0, 21)


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_coverage_holds_whatever_the_law_of_errors(coverage):
    rng, inside = np.random.default_rng(0), []
    for _ in range(400):
        scores = np.abs(rng.standard_t(2, 41)) * 3  # heavy tails, and deviations 3 times too small
        factor, _ = band.factor(calibration(scores[:40]), progress=0.1, coverage=coverage)
        inside.append(scores[40] <= factor)
    assert np.mean(inside) == pytest.approx(coverage, abs=0.05)


def test_deviation_adds_in_squares():
    assert band.deviation(np.array(0.0), np.array(0.0)) == pytest.approx(band.FLOOR)
    assert band.deviation(np.array(0.004), np.array(0.0)) == pytest.approx(0.005)
    assert band.deviation(np.array(0.0), np.array(2.0)) == pytest.approx(0.1, rel=1e-3)


def test_json_and_back():
    data = {
        "curves": {"proxy": [[0.2, 1.0], [0.8, 2.5]]},
        "runs": {"proxy": [[0.4, 0.5]], "default": [[0.1, 3.0]]},
    }
    read = band.from_json(data)
    assert read["proxy"].scores == (1.0, 2.5, 0.5)
    assert read["default"] == band.Calibration(source="default", progress=(0.1,), scores=(3.0,))
    assert band.to_pairs(read["proxy"]) == [[0.2, 1.0], [0.8, 2.5], [0.4, 0.5]]


@pytest.mark.parametrize("pairs", [[[0.2]], [[0.2, float("nan")]], [[0.2, -1.0]], [1.0, 2.0], []])
def test_bad_pairs_are_refused(pairs):
    with pytest.raises(ValueError, match="must be pairs"):
        band.from_json({"runs": {"proxy": pairs}})
