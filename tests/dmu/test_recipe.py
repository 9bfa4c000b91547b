"""Phases begin where they should, change the mixture in even stairs, and say when they never can."""

import pytest

from aquila_jax.dmu import recipe
from aquila_jax.dmu.recipe import STAIRS, Phase, Place

SIZES = {"web": 1000, "books": 50, "qa": 0}
FIRST = Phase(name="language", weights={"web": 1.0})


@pytest.mark.parametrize(
    "phases, acts, match",
    [
        ((Phase(name="a", tokens=5.0),), True, "phase a is the first and begins at once"),
        ((FIRST, FIRST), True, "must have different names"),
        ((FIRST, Phase(name="b")), True, "phase b waits for nothing and can never begin"),
        ((FIRST, Phase(name="b", on=("plateau",))), False, "b waits for plateau and can never"),
        ((FIRST, Phase(name="b", tokens=1000.0)), True, "tokens=1000 must lie between .*0.*1000"),
        (
            (FIRST, Phase(name="b", tokens=500.0), Phase(name="c", tokens=400.0)),
            True,
            "phase c can never begin: its tokens=400 must lie between .*500",
        ),
    ],
)
def test_a_phase_that_can_never_begin_is_told_at_the_start(phases, acts, match):
    with pytest.raises(ValueError, match=match):
        recipe.check(phases, total=1000.0, acts=acts)


def test_what_can_begin_is_accepted():
    event = Phase(name="b", on=("plateau", "forecast"))
    recipe.check((), total=10.0, acts=False)
    recipe.check((FIRST, event, Phase(name="c", tokens=900.0)), total=1000.0, acts=True)
    recipe.check((FIRST, Phase(name="b", on=("plateau",), tokens=9.0)), total=10.0, acts=False)
    with pytest.raises(ValueError, match=r"on=\['spike'\] must be of plateau, forecast"):
        Phase(name="x", on=("spike",))


def test_domains_that_cannot_be_served_are_named():
    with pytest.raises(ValueError, match=r"phase b: domains \['qa'\] have a weight but not one"):
        recipe.mixtures([Phase(name="b", weights={"qa": 1.0})], SIZES, 100)
    with pytest.raises(ValueError, match="names .'fr'."):
        recipe.mixtures([Phase(name="b", weights={"fr": 1.0})], SIZES, 100)


def test_the_phase_in_force_is_the_last_that_began():
    phases = (FIRST, Phase(name="b", on=("plateau",)), Phase(name="c", tokens=500.0))
    assert [recipe.due(phases, Place(0), tokens) for tokens in (0, 499, 500, 900)] == [0, 0, 2, 2]
    assert recipe.due(phases, Place(1), 100) == 1  # its event came
    assert recipe.due(phases, Place(2), 100) == 2  # after a rewind: what was decided stays


def test_a_phase_of_one_stair_is_done_also_before_it_began():
    """An event's phase stays where a run goes back to before it."""
    assert recipe.stairs(Phase(name="b"), Place(1, 400, 0, "plateau"), -100.0) == recipe.STAIRS


def walk(span: float, disturb=lambda mixture, at: mixture):
    """The mixture after each hundredth of a change from all web to half and half."""
    target = recipe.mixtures([Phase(name="b", weights={"web": 1, "books": 1})], SIZES, 100)[0]
    phase, place, now, seen = Phase(name="b", tokens=1.0, span=span), Place(1, 0, 0), None, []
    now = {"web": 1.0, "books": 0.0, "qa": 0.0}
    for at in range(101):
        done = recipe.stairs(phase, place, at)
        if done > place.stairs:
            now = recipe.toward(now, target, place.stairs, done)
            place = place._replace(stairs=done)
        now = disturb(now, at)
        seen.append(now)
    return seen


def test_a_change_is_linear_in_even_stairs_and_ends_at_the_target():
    seen = [mixture["books"] for mixture in walk(100.0)]
    assert all(abs(books - 0.5 * at / 100) <= 0.5 / STAIRS for at, books in enumerate(seen))
    assert len(set(seen)) == STAIRS and seen[-1] == 0.5
    assert all(sum(mixture.values()) == pytest.approx(1) for mixture in walk(100.0))
    assert [mixture["books"] for mixture in walk(0.0)][0] == 0.5  # no span: at once


def test_what_others_change_on_the_way_is_not_lost_before_the_end():
    def gate(mixture, at):
        return {"web": 0.998, "books": 0.002, "qa": 0.0} if at == 50 else mixture

    seen = [mixture["books"] for mixture in walk(100.0, gate)]
    assert seen[49] > 0.2 and seen[50] == 0.002 and seen[52] < 0.1 and seen[-1] == 0.5


def test_a_domain_that_joined_keeps_its_share():
    now = {"web": 0.6, "books": 0.0, "qa": 0.0, "new": 0.4}
    told = recipe.toward(now, {"web": 0.5, "books": 0.5, "qa": 0.0}, 0, STAIRS)
    assert told == pytest.approx({"web": 0.3, "books": 0.3, "qa": 0.0, "new": 0.4})


def test_the_plan_weighs_phases_by_their_length():
    phases = (FIRST, Phase(name="e", on=("plateau",), weights={"qa": 0, "books": 1}),
              Phase(name="b", tokens=750.0, weights={"books": 1.0}))  # fmt: skip
    told = recipe.planned(phases, SIZES, total=100, length=10)
    assert told == pytest.approx({"web": 0.75, "books": 0.25, "qa": 0.0})
