import json

import numpy as np
import pytest
from scipy import stats

from aquila_jax.tsm import snapshot, successor


def evaluation(step, right, *, bits=1.0):
    """One file of questions, answered as in the strings of `right`."""
    mean = {"bits_per_byte": bits}
    asked = {"step": step, "kind": "questions", "file": "q", "chance": 0.25, "right": right}
    return [{"step": step, "kind": "heldout", "languages": {"en": mean}, "mean": mean}, asked]


def answers(rng, share, items=400):
    return "".join("01"[int(hit)] for hit in rng.random(items) < share)


def kinds(*told):
    """Of the alarms after each of several evaluations, and the state at the end."""
    state, found = successor.start(), []
    for one in told:
        state, raised = successor.observe(state, one)
        found.append([alarm.kind for alarm in raised])
    return found, state


def test_the_odds_are_those_of_mcnemars_exact_test():
    before, after = "0011010100", "1110110101"
    gained, lost, rise, fall = successor.odds(before, after)
    assert (gained, lost) == (4, 1)
    assert rise == pytest.approx(stats.binomtest(4, 5, alternative="greater").pvalue)
    assert fall == pytest.approx(stats.binomtest(1, 5, alternative="greater").pvalue)


def test_a_lower_loss_without_better_answers_is_told_for_that_language_only():
    rng = np.random.default_rng(0)
    flat, worse, better = answers(rng, 0.5), answers(rng, 0.4), answers(rng, 0.75)
    first = evaluation(100, {"en": flat, "zh": worse}, bits=1.0)
    then = evaluation(200, {"en": flat, "zh": better}, bits=0.9)
    found, state = kinds(first, then)
    assert found == [[], ["no_better"]]
    assert state.predecessors["q/en"][0] == 100 and state.predecessors["q/zh"][0] == 200
    assert kinds(first, evaluation(200, {"en": flat, "zh": worse}, bits=0.99))[0] == [[], []]


def test_a_fall_is_told_whatever_the_loss_does_and_the_better_model_stays_the_measure():
    good, bad = "1" * 300 + "0" * 100, "1" * 240 + "0" * 160
    found, state = kinds(evaluation(1, {"en": good}), evaluation(2, {"en": bad}, bits=1.1))
    assert found == [[], ["worse"]] and state.predecessors["q/en"][0] == 1


def test_questions_that_nobody_can_answer_yet_say_nothing():
    rng = np.random.default_rng(1)
    told = [evaluation(s, {"en": answers(rng, 0.25)}, bits=9.0 / s) for s in range(1, 20)]
    assert kinds(*told)[0] == [[]] * 19


def test_looking_often_finds_no_fall_where_there_is_none():
    """A model that stays as it is, asked 100 times with fresh luck: 5 % of 100 such runs at most."""
    false = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        told = [evaluation(s, {"en": answers(rng, 0.5, 100)}) for s in range(1, 101)]
        false += any("worse" in raised for raised in kinds(*told)[0])
    assert false <= 10


def test_the_state_comes_back_from_json():
    _, state = kinds(evaluation(1, {"en": "0101"}), evaluation(2, {"en": "0111"}))
    data = json.loads(json.dumps(snapshot.to_json(state)))
    assert snapshot.from_json(successor.SuccessorState, data) == state


def test_a_handful_of_questions_says_nothing():
    few = successor.FEWEST - 1
    told = [evaluation(1, {"en": "1" * few}), evaluation(2, {"en": "0" * few}, bits=0.5)]
    assert kinds(*told)[0] == [[], []]
