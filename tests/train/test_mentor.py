import json

import pytest

from aquila_jax.train import mentor
from aquila_jax.train.replay import replay
from aquila_jax.tsm.context import Context
from tests.train import faults, small


@pytest.fixture(scope="module")
def plain(runs):
    assert small.run(small.config(runs / "store", mode="off"), runs / "plain") == "finished"
    return runs / "plain"


def reference(workdir) -> list[float]:
    return [line["update_ratio"] for line in small.lines(workdir, "metrics")]


@pytest.mark.parametrize("mode", ["shadow", "act"])
@pytest.mark.parametrize("policy", ["static", "aquila"])
def test_on_a_healthy_run_the_mentor_changes_no_bit(runs, plain, mode, policy):
    workdir = runs / f"healthy-{mode}-{policy}"
    config = small.config(
        runs / "store", mode=mode, policy=policy, reference_ratio=reference(plain),
        most_lr_scale=4.0,
    )  # fmt: skip
    assert small.run(config, workdir) == "finished"
    assert small.last_checkpoint(workdir) == small.last_checkpoint(plain)
    assert small.losses(workdir) == small.losses(plain)
    journal = small.lines(workdir, "journal")
    assert not [line for line in journal if line["kind"] == "decision"]
    alarms = {line["alarm"]["kind"] for line in journal if line["kind"] == "alarm"}
    assert not alarms & {"token_statistics", "worse", "no_better"}
    counted = small.lines(workdir, "metrics")[5]["token_oddity"]
    assert sum(row[0] for row in counted.values()) == small.BATCH


def fast(runs, plain, name, times, **mentor):
    """A run planned with a rate so many times too high, which knows what is usual."""
    config = small.config(runs / "store", mode="act", reference_ratio=reference(plain), **mentor)
    config = small.change(config, "schedule", peak=times * config.schedule.peak)
    assert small.run(config, runs / name) == "finished"
    return runs / name


def test_a_run_with_a_rate_far_too_high_begins_again_with_the_right_one(runs, plain):
    """As the weights of the start show it; what it read until then is read again."""
    workdir = fast(runs, plain, "fast", 10)
    journal = small.lines(workdir, "journal")
    [back] = [line for line in journal if line["kind"] == "rewind"]
    assert (back["step"], back["to_step"], back["timeline"]) == (3, 0, 1)
    lines = small.lines(workdir, "metrics")
    assert [line["step"] for line in lines if not line["timeline"]] == [1, 2, 3, 4, 5]
    again = [line for line in lines if line["timeline"]]
    assert 0.09 < again[0]["lr_scale"] < 0.14  # the warm-up is over with its fourth step
    assert [line["sequences"] for line in again] == [
        line["sequences"] for line in small.lines(plain, "metrics")
    ]
    assert again[-1]["loss"] == pytest.approx(small.lines(plain, "metrics")[-1]["loss"], abs=0.03)
    assert replay(workdir).steps == len(lines)


def test_killed_after_it_began_again_it_ends_the_same(runs, plain):
    workdir = runs / "fast again"
    with pytest.MonkeyPatch.context() as patch:
        faults.die(patch, 15 * small.BATCH)
        with pytest.raises(faults.Died):
            fast(runs, plain, workdir.name, 10)
        fast(runs, plain, workdir.name, 10)
    assert small.last_checkpoint(workdir) == small.last_checkpoint(runs / "fast")
    names = [(folder / "journal.jsonl").read_bytes() for folder in (workdir, runs / "fast")]
    assert names[0] == names[1]


def test_without_rewinds_a_rate_far_too_high_is_only_lowered(runs, plain):
    workdir = fast(runs, plain, "lowered", 30, rewinds=0)
    lines = small.lines(workdir, "metrics")
    scales = [line["lr_scale"] for line in lines]
    assert scales[:5] == [1.0] * 5 and scales[5] < 0.1  # two steps of lag
    late = [x["update_ratio"] / y for x, y in zip(lines, reference(plain), strict=True)]
    assert max(late[30:]) < 2.5


def test_with_the_batch_grows_the_ratio_that_is_usual(runs):
    """By the root, as the rate does; what the smoothed ratio remembers is of both batches."""
    settings = small.config(runs / "store", reference_ratio=[0.01, 0.01])
    watching = mentor.Mentor(settings, {"a": "en"}, {})
    batches = ((1, small.BATCH), (31, 4 * small.BATCH))

    def usual(step):
        context = Context(
            step=step, tokens=1e4, batch=4 * small.BATCH, micro_batches=1, learning_rate=0.1,
            progress=0.5, weights={},
        )  # fmt: skip
        return mentor._reference(watching, None, batches, context)

    assert usual(35) == pytest.approx((0.01, 0.02))
    assert usual(45) == pytest.approx((0.02, 0.02))
    assert watching.usual(small.BATCH).reference == (0.01, 0.01)


def test_the_state_is_strict_json(plain):
    saved = plain / "checkpoints" / str(small.STEPS) / "host" / "metadata"
    assert json.loads(saved.read_text())["mentor"]["policy"]["clock"] == 0
