import json
import shutil

import pytest

from aquila_jax.core.journal import chain
from aquila_jax.train.replay import Differs, replay
from aquila_jax.tsm import alarms, successor
from tests.train import faults, small

ITEM = {"lang": "zh", "task": "sums", "context": "一加一", "choices": ["二", "三"], "answer": 0}


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Every evaluation whose answers are no better than those before is told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(successor, "FALL", -1e9)
        patch.setattr(successor, "FEWEST", 1)
        patch.setattr(successor, "ABOVE_CHANCE", -1e9)
        patch.setitem(alarms.QUIET, "no_better", 1)
        yield


@pytest.fixture(scope="module")
def acted(runs, eager):
    """A run with a rewind, killed once on the way."""
    questions = runs / "questions.jsonl"
    questions.write_text(json.dumps(ITEM))
    with pytest.MonkeyPatch.context() as patch:
        faults.mislabel(patch, 37 * small.BATCH, 48 * small.BATCH)
        faults.die(patch, 30 * small.BATCH)
        config = small.config(runs / "store", mode="act")
        config = small.change(config, "evaluate", questions=(str(questions),))
        config = small.change(config, "train", evaluate_every=10)
        with pytest.raises(faults.Died):
            small.run(config, runs / "acted")
        small.run(config, runs / "acted")
    return runs / "acted"


@pytest.fixture
def copy(acted, tmp_path):
    for name in ("config.json", "metrics.jsonl", "evaluations.jsonl", "journal.jsonl"):
        shutil.copy(acted / name, tmp_path / name)
    return tmp_path


def test_every_line_follows_from_the_steps(acted):
    told = replay(acted)
    journal = small.lines(acted, "journal")
    assert told.lines == len(journal) and told.decisions == 1
    assert told.steps == len(small.lines(acted, "metrics"))
    raised = [line for line in journal if line["kind"] == "alarm"]
    compared = [line["step"] for line in raised if line["alarm"]["kind"] == "no_better"]
    assert compared == [10, 20, 30, 40, 50, 60]  # 40 is told once, before the rewind


def test_the_last_evaluation_follows_the_last_steps(runs, eager):
    questions = runs / "last_questions.jsonl"
    questions.write_text(json.dumps(ITEM))
    config = small.config(runs / "store", mode="act")
    config = small.change(config, "evaluate", questions=(str(questions),))
    config = small.change(config, "train", heavy_every=small.STEPS // 2)
    assert small.run(config, runs / "last") == "finished"
    last = [line for line in small.lines(runs / "last", "journal") if line["step"] == small.STEPS]
    assert [line["kind"] for line in last] == ["assessment", "alarm"]
    assert replay(runs / "last").steps == small.STEPS


def rewrite(workdir, name, edit, *, rechain=False):
    lines = small.lines(workdir, name)
    edit(lines)
    previous = ""
    for line in lines if rechain else []:
        line["hash"] = previous = chain(previous, line)
    (workdir / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def number_of(workdir, kind):
    return next(i for i, line in enumerate(small.lines(workdir, "journal")) if line["kind"] == kind)


def test_an_edited_line_is_named(copy):
    at = number_of(copy, "decision")

    def edit(lines):
        lines[at]["evidence"]["count"] = 6

    rewrite(copy, "journal", edit)
    with pytest.raises(ValueError, match=f"line {at + 1} of .* does not have the hash"):
        replay(copy)


@pytest.mark.parametrize("kind", ["decision", "rewind", "verify", "alarm", "mixture"])
def test_an_edit_with_new_hashes_is_found_by_what_follows_from_the_steps(copy, kind):
    at = number_of(copy, kind)
    rewrite(copy, "journal", lambda lines: lines[at].update(author="nobody"), rechain=True)
    with pytest.raises(Differs, match=f"line {at + 1} of journal.jsonl is .*nobody"):
        replay(copy)


def test_a_removed_line_is_found(copy):
    at = number_of(copy, "verify")
    rewrite(copy, "journal", lambda lines: lines.pop(at), rechain=True)
    with pytest.raises(Differs, match=f"line {at + 1} of journal.jsonl is "):
        replay(copy)


def test_a_step_that_was_never_started_is_found(copy):
    file = copy / "metrics.jsonl"
    last = file.read_text().splitlines()[-1]
    file.write_text(file.read_text() + last + "\n")
    with pytest.raises(Differs, match="which the run did not start"):
        replay(copy)


def test_an_edited_step_is_found(copy):
    def edit(lines):
        lines[40]["lr_scale"] = 0.9

    rewrite(copy, "metrics", edit)
    with pytest.raises(Differs, match=r"line 41 of .*metrics.jsonl"):
        replay(copy)


@pytest.mark.parametrize("edit", [lambda lines: lines[2].pop("loss"), lambda lines: lines.pop(2)])
def test_a_step_without_what_it_needs_is_named(copy, edit):
    rewrite(copy, "metrics", edit)
    with pytest.raises(Differs, match=r"line \d+ of .*metrics.jsonl needs .*, which is missing"):
        replay(copy)


def test_a_run_that_is_not_done_yet_is_followed_as_far_as_it_is(copy):
    rewrite(copy, "metrics", lambda lines: lines.__delitem__(slice(40, None)))
    rewrite(
        copy,
        "journal",
        lambda lines: lines.__delitem__(slice(number_of(copy, "decision") - 1, None)),
    )
    assert replay(copy).steps == 40


def test_a_folder_without_a_journal_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="must name the folder of a run"):
        replay(tmp_path)
