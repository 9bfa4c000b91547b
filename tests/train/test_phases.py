"""A recipe in a real run: by tokens and by an event, the same after a stop, and replayable."""

import dataclasses

import pytest

from aquila_jax.config import plain
from aquila_jax.dmu.recipe import Phase
from aquila_jax.train.replay import replay
from aquila_jax.tsm import alarms, learning, survey
from tests.train import faults, small

TOTAL = small.STEPS * small.BATCH * small.LENGTH
PLATEAU = 40


@pytest.fixture(scope="module")
def config(runs):
    made = small.config(runs / "store", mode="act", online_weights="ado")
    names = [source.name for source in made.prepare.sources]
    english = {name: 1.0 for name in names if name.startswith("en")}
    chinese = {name: 1.0 for name in names if name.startswith("zh")}
    phases = (
        Phase(name="language", mixture="uniform"),
        Phase(name="knowledge", weights=english, tokens=TOTAL / 6, span=TOTAL / 6),
        Phase(name="target", weights=chinese, on=("plateau",)),
    )
    return dataclasses.replace(made, data=dataclasses.replace(made.data, phases=phases))


def flat(settings, state, context, loss):
    """In place of the monitor's own: sixty steps are too few for it to be sure of a plateau."""
    if context.step != PLATEAU:
        return state, ()
    return state, (alarms.make("plateau", PLATEAU, confidence=0.9, gain=0.0, threshold=0.1),)


@pytest.fixture(scope="module")
def followed(runs, config):
    """The same run twice: at one go, and killed on the stairs between two phases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "_plateau", flat)
        patch.setattr(survey.progress, "MINIMUM_BLOCKS", 4)
        patch.setattr(learning, "MINIMUM_BLOCKS", 4)
        patch.setattr(survey.SurveySettings, "__init__", _often(survey.SurveySettings.__init__))
        assert small.run(config, runs / "whole") == "finished"
        with pytest.MonkeyPatch.context() as killer:
            faults.die(killer, 25 * small.BATCH)
            with pytest.raises(faults.Died):
                small.run(config, runs / "broken")
        assert small.run(config, runs / "broken") == "finished"
        told = replay(runs / "whole")
    return runs / "whole", runs / "broken", told


def _often(init):
    return lambda self, **given: init(self, **given | {"every": 10})


def test_phases_begin_in_turn_and_are_on_record(followed):
    whole, _, told = followed
    journal = small.lines(whole, "journal")
    phases = [line for line in journal if line["kind"] == "phase"]
    assert [(line["name"], line["why"]) for line in phases] == [
        ("language", "start"), ("knowledge", "tokens"), ("target", "plateau"),
    ]  # fmt: skip
    assert phases[1]["first_sequence"] == small.STEPS * small.BATCH // 6
    assert phases[2]["first_step"] > PLATEAU
    decided = [line for line in journal if line["kind"] == "decision" and line["rule"] != "mix"]
    assert [line["rule"] for line in decided] == ["next_phase"]
    assert told.lines == len(journal)


def test_between_phases_the_mixture_follows_the_learning_in_bounded_moves(followed):
    journal = small.lines(followed[0], "journal")
    moved = [line for line in journal if line.get("rule") == "mix"]
    assert {line["kind"] for line in moved} == {"decision"}
    assert moved and all(line["step"] % 10 == 0 and line["step"] >= 20 for line in moved)
    for line in moved:
        assert line["evidence"]["algorithm"] == "ado"
        used = {name: share for name, share in line["weights"].items() if share}
        assert all(name.startswith("en" if line["step"] < PLATEAU else "zh") for name in used)
        assert all(1 / 3 / 1.26 <= share <= 1.26 / 3 for share in used.values())


def test_the_mixture_changes_in_stairs_and_ends_where_it_should(followed):
    whole, _, _ = followed
    mixtures = [line for line in small.lines(whole, "journal") if line["kind"] == "mixture"]
    english = [
        sum(share for name, share in line["weights"].items() if name.startswith("en_"))
        for line in mixtures
    ]
    before = [
        share for share, line in zip(english, mixtures, strict=True) if line["step"] < PLATEAU
    ]
    assert before == pytest.approx(sorted(before)) and before[-1] == pytest.approx(1)
    assert english[-1] == 0 and 8 <= len(mixtures) <= 22
    languages = [set(line["language_loss"]) for line in small.lines(whole, "metrics")]
    assert "zh" in set().union(*languages[:10]) and languages[-1] == {"zh"}


def test_resumed_equals_uninterrupted(followed):
    whole, broken, _ = followed
    assert small.losses(whole) == small.losses(broken)
    assert (whole / "journal.jsonl").read_bytes() == (broken / "journal.jsonl").read_bytes()
    assert small.last_checkpoint(whole) == small.last_checkpoint(broken)


def test_a_recipe_that_cannot_come_true_is_refused_with_the_configuration(config):
    with pytest.raises(ValueError, match="phase target waits for plateau and can never begin"):
        small.change(config, "mentor", mode="shadow")
    with pytest.raises(ValueError, match="data.weights and data.phases exclude each other"):
        small.change(config, "data", weights={"en_stories": 1.0})
    assert plain(config)["data"]["phases"][1]["name"] == "knowledge"
