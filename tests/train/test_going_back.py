"""Rewinds that a person asks for, one after another and far back."""

import pytest

from aquila_jax.dmu.sample import DOMAINS
from aquila_jax.train import inbox
from aquila_jax.train.replay import replay
from tests.train import faults, small

BATCH = small.BATCH


def to(step):
    return {"request": {"kind": "rewind", "arguments": {"to_step": step}}}


def hand_in(patch, plan):
    """(timeline, step) -> an order that comes just before that step's look."""
    real = inbox.Inbox._next

    def look(self, host, machine):
        if order := plan.pop((host.timeline, host.step), None):
            inbox.hand_in(self.folder.path, {"author": "mei", "why": "try"} | order)
        return real(self, host, machine)

    patch.setattr(inbox.Inbox, "_next", look)


def shown(workdir, timeline):
    return {step: loss for number, step, loss in small.losses(workdir) if number == timeline}


def test_far_back_in_a_later_timeline_is_not_the_one_that_was_left(runs):
    """The checkpoint with which that timeline began is the only one to get there from."""
    settings = small.config(runs / "store", mode="act")
    settings = small.change(settings, "schedule", total=100 * BATCH)
    settings = small.change(settings, "train", keep=2)
    workdir = runs / "far"
    with pytest.MonkeyPatch.context() as patch:
        faults.mislabel(patch, 37 * BATCH, 48 * BATCH)
        hand_in(patch, {(1, 95): to(50)})
        assert small.run(settings, workdir) == "finished"
    roots = [x["to_step"] for x in small.lines(workdir, "journal") if x["kind"] == "rewind"]
    assert roots == [32, 50]
    before, after = shown(workdir, 1), shown(workdir, 2)
    assert [before[step] for step in range(51, 96)] == [after[step] for step in range(51, 96)]
    assert replay(workdir).steps == len(small.lines(workdir, "metrics"))


@pytest.mark.parametrize("snapshots", [1, 2])
def test_twice_to_one_step_is_told_alike_from_memory_and_from_disk(runs, snapshots):
    settings = small.config(runs / "store", mode="act", snapshots=snapshots)
    settings = small.change(settings, "schedule", total=40 * BATCH)
    mixture = {"weights": {one.name: 5.0 if one.name == "code" else 1.0 for one in DOMAINS}}
    workdir = runs / f"twice{snapshots}"
    with pytest.MonkeyPatch.context() as patch:
        hand_in(patch, {(0, 20): mixture, (0, 25): to(16), (1, 30): to(16)})
        assert small.run(settings, workdir) == "finished"
    mixtures = [x["step"] for x in small.lines(workdir, "journal") if x["kind"] == "mixture"]
    assert mixtures == [0, 20, 25]  # decided on once, taken along by the first rewind
    assert replay(workdir).steps == len(small.lines(workdir, "metrics"))


@pytest.mark.parametrize("snapshots", [1, 9])
def test_a_step_that_cannot_be_reached_again_is_told_and_the_run_goes_on(runs, snapshots):
    """The first checkpoint of its timeline is damaged, and its memory is lost with the process."""
    settings = small.config(runs / "store", mode="act", snapshots=snapshots)
    workdir = runs / f"unreached{snapshots}"
    with pytest.MonkeyPatch.context() as patch:
        hand_in(patch, {(0, 20): to(16), (1, 30): to(12), (2, 45): to(15)})
        faults.die(patch, 42 * BATCH)
        with pytest.raises(faults.Died):
            small.run(settings, workdir)
        for file in (workdir / "checkpoints" / "12" / "state").rglob("d/*"):
            file.write_bytes(b"")
        for _ in range(2):  # the second time it is finished
            assert small.run(settings, workdir) == "finished"
    journal = small.lines(workdir, "journal")
    assert [x["to_step"] for x in journal if x["kind"] == "rewind"] == [16, 12]
    [line] = [x for x in journal if x["kind"] == "unreached"]
    assert (line["step"], line["to_step"], line["author"]) == (45, 15, "mei")
    assert "rewind to an earlier step" in line["why"]
    assert [step for timeline, step, _ in small.losses(workdir) if timeline == 2][-1] == 60
    assert replay(workdir).steps == len(small.lines(workdir, "metrics"))
