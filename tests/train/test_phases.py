"""A recipe in a real run: by tokens and by an event, the same after a stop, and replayable."""

import pytest

from aquila_jax.config import plain
from aquila_jax.core.signals import Decision, Request
from aquila_jax.train import host as hosts
from aquila_jax.train import phases
from aquila_jax.train.mentor import Mentor
from tests.train import eventful, small


def mixtures(workdir):
    """Step and weights of each mixture since the rewind."""
    journal = small.lines(workdir, "journal")
    [rewind] = [line["seq"] for line in journal if line["kind"] == "rewind"]
    return [
        (line["step"], line["weights"]) for line in journal[rewind:] if line["kind"] == "mixture"
    ]


def of(language, weights):
    return sum(share for name, share in weights.items() if name.startswith(language))


def test_phases_begin_in_turn_and_are_on_record(eventful_run):
    whole, _, told = eventful_run
    journal = small.lines(whole, "journal")
    begun = [line for line in journal if line["kind"] == "phase"]
    assert [(line["name"], line["why"]) for line in begun] == [
        ("language", "start"), ("knowledge", "tokens"), ("knowledge", "tokens"),
        ("target", "plateau"),
    ]  # fmt: skip
    at = [line["first_sequence"] for line in begun[1:3]]  # and again, after the rewind to before it
    assert at == [small.STEPS * small.BATCH // 6] * 2
    assert begun[3]["first_step"] > eventful.PLATEAU
    decided = [line for line in journal if line["kind"] == "decision" and line["rule"] != "mix"]
    assert [line["rule"] for line in decided] == ["next_phase"]
    assert told.lines == len(journal)


def test_the_mixture_changes_in_stairs_and_ends_where_it_should(eventful_run):
    told = mixtures(eventful_run[0])
    new = told[-1][1]["zh_new"]
    before = [of("en", weights) for step, weights in told if 10 < step < eventful.PLATEAU]
    assert before == pytest.approx(sorted(before)) and before[-1] == pytest.approx(
        1 - new, abs=0.03
    )
    assert of("en", told[-1][1]) == of("code", told[-1][1]) == 0
    assert 10 <= len(told) <= 26
    languages = [set(line["language_loss"]) for line in small.lines(eventful_run[0], "metrics")]
    assert "en" in languages[0] and languages[-1] == {"zh"}


def test_between_phases_the_mixture_follows_the_learning_in_bounded_moves(eventful_run):
    journal, before = small.lines(eventful_run[0], "journal"), {}
    moved = [line for line in journal if line.get("rule") == "mix"]
    assert moved and {line["kind"] for line in moved} == {"decision"}
    for line in journal:
        if line in moved:
            assert line["step"] % 10 == 0 and line["evidence"]["algorithm"] == "ado"
            for name, share in line["weights"].items():
                assert before[name] / 1.26 <= share <= before[name] * 1.26
        before = line["weights"] if line["kind"] == "mixture" else before


def test_resumed_equals_uninterrupted(eventful_run):
    whole, resumed, _ = eventful_run
    assert [e for e in small.lines(resumed, "events") if e["kind"] == "resume"][0]["step"] == 20
    assert small.losses(whole) == small.losses(resumed)
    assert (whole / "journal.jsonl").read_bytes() == (resumed / "journal.jsonl").read_bytes()
    assert small.last_checkpoint(whole) == small.last_checkpoint(resumed)


def test_a_recipe_that_cannot_come_true_is_refused_with_the_configuration(runs):
    config = eventful.config(runs)
    with pytest.raises(ValueError, match="phase target waits for plateau and can never begin"):
        small.change(config, "mentor", mode="shadow")
    with pytest.raises(ValueError, match="data.weights and data.phases exclude each other"):
        small.change(config, "data", weights={"en_stories": 1.0})
    assert plain(config)["data"]["phases"][1]["name"] == "knowledge"


def test_a_rewind_undoes_what_tokens_began_and_keeps_what_an_event_began(runs):
    config = eventful.config(runs)
    languages = {source.name: source.language for source in config.prepare.sources}
    start = hosts.start(config, Mentor(config, languages, {}), dict.fromkeys(languages, 1000))

    def until(step, host):
        while host.step < step:
            host = hosts.dispatched(phases.advance(config, host)[0])
        return host

    then = until(8, start)
    now = until(30, then)
    asked = Decision(30, 31, now.control, request=Request("rewind", {"to_step": 8}))
    back, _ = hosts.back(now, then, asked)
    assert (now.place.phase, back.place) == (1, then.place)
    assert back.weights == pytest.approx(then.weights) != now.weights
    again = until(30, back)
    assert again.place == now.place and again.weights == pytest.approx(now.weights)
    moved, _ = hosts.enter(now, phase=2, name="target", why="plateau")
    kept, _ = hosts.back(moved, then, asked)
    assert (kept.place, kept.weights) == (moved.place, now.weights)
    last, _ = hosts.enter(moved, phase=3, name="end", why="tokens")
    kept, _ = hosts.back(last, then, asked)
    assert kept.place[:2] == (2, then.sequences) and kept.weights == pytest.approx(then.weights)
    assert hosts.back(kept, start, asked)[0].place == kept.place
