import pytest

from aquila_jax.dmu import prior

SIZES = {"web": 1000, "books": 100, "tiny": 10}


def test_unimax_caps_the_small_and_shares_the_rest_evenly():
    got = prior.mixture("unimax", {}, SIZES, 1000)
    assert got == pytest.approx({"tiny": 0.04, "books": 0.4, "web": 0.56})


def test_unimax_is_uniform_when_nothing_repeats_too_often():
    got = prior.mixture("unimax", {}, SIZES, 30)
    assert got == pytest.approx(dict.fromkeys(SIZES, 1 / 3))


def test_unimax_of_a_long_run_reads_everything_equally_often():
    got = prior.mixture("unimax", {}, SIZES, 10**6)
    assert got == pytest.approx(prior.mixture("natural", {}, SIZES, 1))


def test_given_weights_win_and_those_left_out_are_zero():
    assert prior.mixture("unimax", {"web": 3, "books": 1}, SIZES, 9) == {
        "web": 0.75,
        "books": 0.25,
        "tiny": 0.0,
    }


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("best", {}, "must be one of"),
        ("natural", {"wbe": 1.0}, r"names \['wbe'\]"),
        ("natural", {"web": 0.0}, "positive sum"),
        ("natural", {"web": float("nan"), "books": 1.0}, "must be finite"),
        ("natural", {"web": float("inf"), "books": 1.0}, "must be finite"),
        ("natural", {"web": -1.0, "books": 2.0}, "none below 0"),
    ],
)
def test_impossible_mixtures_are_refused(name, weights, message):
    with pytest.raises(ValueError, match=message):
        prior.mixture(name, weights, SIZES, 100)
