import math

import pytest

from aquila_jax.ate import probe


def bowl(scale, best=1.0, depth=0.1):
    """The loss of a rate, by how far it is from the best in a logarithm."""
    return 4.0 + depth * math.log(scale / best) ** 2


def shown(peak, law, best):
    tried = probe.scales(peak, law)
    return {"scales": tried, "losses": [bowl(scale, best) for scale in tried]}


@pytest.mark.parametrize("off", [0.1, 1 / 3, 1.0, 3.0, 10.0, 30.0])
def test_a_rate_off_by_that_much_is_found_within_two(off):
    """The plan's rate is `off` times the best; the law is, as it tends to be, three times too high."""
    chosen = probe.choose(shown(1e-3 * off, 3e-3, 1 / off))
    assert 0.5 < chosen * off < 2.0


def test_a_good_rate_is_left_alone_and_so_is_one_that_nothing_beats_by_much():
    assert probe.choose(shown(1e-3, 3e-3, 1.2)) == 1.0
    flat = {"scales": [1 / 3, 1.0, 3.0], "losses": [4.0, 4.01, 4.3]}
    assert probe.choose(flat) == 1.0


def test_trials_that_were_lost_count_as_the_worst():
    lost = {"scales": [1 / 9, 1 / 3, 1.0], "losses": [5.0, 4.0, None]}
    assert probe.choose(lost) == pytest.approx(0.7 / 3, rel=1e-3)
    assert probe.choose({"scales": [1 / 3, 1.0], "losses": [None, None]}) == 1.0
    assert probe.late([3.0, math.nan]) == math.inf


def test_the_plans_own_rate_is_tried_and_the_number_of_trials_is_bounded():
    for peak in (1e-6, 1e-3, 1.0):
        tried = probe.scales(peak, 1e-3)
        assert 1.0 in tried and min(tried) < 1 < max(tried) and len(tried) <= 6
        assert all(
            b / a == pytest.approx(3.0, rel=1e-4) for a, b in zip(tried, tried[1:], strict=False)
        )


def test_a_trial_goes_up_stays_and_comes_down():
    shape = probe.shape(40)
    assert len(shape) == 40 and shape[0] == 1 / 8 and max(shape) == 1.0
    assert shape[8:28] == [1.0] * 20 and 0 < shape[-1] < 0.1


def test_the_step_law_is_the_published_one():
    assert probe.step_law(1e9, 1e11) == pytest.approx(1.79 * 1e9**-0.713 * 1e11**0.307)
    assert 1e-4 < probe.step_law(1e9, 1e11) < 3e-3
