"""The study's own arithmetic: mixtures, the sweep, and tokens to a target."""

import pytest

from configs.small import LANGUAGES
from launch import mixture_study, mixture_table


def point(tokens: int, worst: float) -> dict:
    values = dict.fromkeys(LANGUAGES, 1.0) | {"zh_law": worst}
    return {"tokens": tokens} | values


def test_tokens_to_a_target_lie_between_two_evaluations():
    curve = [point(0, 5.0), point(100, 3.0), point(200, 2.0), point(300, 2.5)]
    assert mixture_table.tokens_to(curve, 2.5) == pytest.approx(150)
    assert mixture_table.tokens_to(curve, 5.0) == 0
    assert mixture_table.tokens_to(curve, 1.9) is None


def test_mixtures_sum_to_one_and_garbage_has_its_share():
    sizes = {"en_docs": 1000, "zh_law": 10, "garbage": 500}
    for arm in ("natural", "uniform", "unimax", "v3", "hand_0.5", "aquila"):
        shares = mixture_study.mixture(arm, sizes)
        assert sum(shares.values()) == pytest.approx(1) and shares["garbage"] == 0.3
    assert mixture_study.mixture("oracle", sizes)["garbage"] == 0
    assert mixture_study.mixture("hand_0.5", sizes)["en_docs"] == pytest.approx(0.7 * 10 / 11)


def test_the_recipe_of_the_report_gives_each_kind_its_share():
    shares = mixture_study.v3({name: 10 for name in LANGUAGES} | {"zh_docs": 30})
    assert set(shares) == set(LANGUAGES) and sum(shares.values()) == pytest.approx(100)
    assert shares["zh_docs"] == pytest.approx(82 / 2) and shares["zh_classics"] == 1.25


def test_seeds_come_whole_and_after_the_sweep():
    order = list(mixture_study._order(["clean", "garbage"], seeds=2))
    assert [seed for _, _, seed in order] == sorted(
        [seed for _, _, seed in order], key=lambda s: (s != 100, s)
    )
    assert ("garbage", "oracle", 1) in order and ("clean", "oracle", 1) not in order


def test_the_hand_made_mixture_is_chosen_on_a_seed_of_its_own():
    runs = {
        f"clean/{arm}/100": {"curve": [point(100, worst)]}
        for arm, worst in zip(mixture_study.TEMPERATURES, (3.0, 2.0, 4.0), strict=True)
    }
    assert mixture_study.best_hand(runs, "clean") == "hand_0.5"
    runs |= {f"clean/natural/{s}": {"curve": [point(100, 2.0)]} for s in (0, 1)}
    lines = list(mixture_table.table(runs, ["clean"]))
    assert "| clean | natural | 2 | 1.100 ± 0.000 | 2.000 ± 0.000 | 0.00 M |" in lines
