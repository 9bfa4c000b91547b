import numpy as np
import pytest

from aquila_jax.tsm import band


def calibration(scores):
    return band.Calibration(source="proxy", kinds=(tuple(map(float, scores)),))


def test_factor_is_the_conformal_quantile():
    assert band.factor(calibration(range(1, 40)), 0.9) == (36.0, 39)
    assert band.factor(calibration(range(39, 0, -1)), 0.5) == (20.0, 39)


def test_no_band_without_enough_forecasts():
    assert band.factor(calibration(range(band.MIN_FORECASTS - 1)), 0.5) is None
    # 20 forecasts cannot vouch for 99 %
    assert band.factor(calibration(range(20)), 0.99) is None


def test_each_kind_of_run_is_covered_however_rare():
    common, rare = tuple(np.linspace(0, 1, 99)), tuple(np.linspace(0, 4, 19))
    factor, known = band.factor(band.Calibration(source="default", kinds=(common, rare)), 0.9)
    assert known == 118
    assert factor == band.factor(calibration([*rare] * 2), 0.9)[0] == rare[17]


def test_a_kind_that_cannot_vouch_for_a_coverage_is_not_passed_over():
    few = band.Calibration(source="default", kinds=(tuple(np.linspace(0, 1, 99)), (0.5,) * 8))
    assert band.factor(few, 0.9) is None
    assert band.factor(few, 0.88) is not None


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_coverage_holds_whatever_the_law_of_errors(coverage):
    rng, inside = np.random.default_rng(0), []
    for _ in range(400):
        scores = np.abs(rng.standard_t(2, 41)) * 3  # heavy tails, and deviations 3 times too small
        factor, _ = band.factor(calibration(scores[:40]), coverage)
        inside.append(scores[40] <= factor)
    assert np.mean(inside) == pytest.approx(coverage, abs=0.05)


def test_deviation_adds_in_squares():
    none = np.array(0.0)
    assert band.deviation(none, none, 0.0, 0.0) == pytest.approx(band.FLOOR)
    assert band.deviation(np.array(0.004), none, 0.0, 0.0) == pytest.approx(0.005)
    assert band.deviation(none, np.array(2.0), 0.0, 0.0) == pytest.approx(0.1, rel=1e-3)
    assert band.deviation(none, none, 0.004, 0.0) == pytest.approx(0.005)
    assert band.deviation(none, none, 0.0, 0.004) == pytest.approx(0.005)


def test_back_tests_of_one_source_are_its_kinds():
    read = band.from_json(
        {"curves": {"proxy": [1.0, 2.5]}, "runs": {"proxy": [0.5], "default": [3.0]}}
    )
    assert read["proxy"] == band.Calibration(source="proxy", kinds=((1.0, 2.5), (0.5,)))
    assert read["default"] == band.Calibration(source="default", kinds=((3.0,),))


@pytest.mark.parametrize("scores", [[[0.2, 1.0]], [0.2, float("nan")], [-1.0], []])
def test_bad_scores_are_refused(scores):
    with pytest.raises(ValueError, match="must be a list of scores"):
        band.from_json({"runs": {"proxy": scores}})
