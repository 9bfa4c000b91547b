import json

import pytest

from aquila_jax.train import mentor
from aquila_jax.tsm.context import Context
from tests.train import small


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


def test_a_rate_far_too_high_is_seen_by_the_reference_and_lowered(runs, plain):
    usual = reference(plain)
    workdir = runs / "fast"
    config = small.config(runs / "store", mode="act", reference_ratio=usual)
    fast = small.change(config, "schedule", peak=30 * config.schedule.peak)
    assert small.run(fast, workdir) == "finished"
    lines = small.lines(workdir, "metrics")
    scales = [line["lr_scale"] for line in lines]
    assert scales[:3] == [1.0] * 3 and scales[3] < 0.3  # two steps of lag
    late = [line["update_ratio"] / one for line, one in zip(lines, usual, strict=True)]
    assert max(late[20:]) < 2.5
    plain_loss = small.lines(plain, "metrics")[-1]["loss"]
    assert lines[-1]["loss"] < plain_loss + 0.1


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
        return mentor._reference(watching, batches, context)

    assert usual(35) == pytest.approx((0.01, 0.02))
    assert usual(45) == pytest.approx((0.02, 0.02))
    assert watching.usual(small.BATCH).reference == (0.01, 0.01)


def test_the_state_is_strict_json(plain):
    saved = plain / "checkpoints" / str(small.STEPS) / "host" / "metadata"
    assert json.loads(saved.read_text())["mentor"]["policy"]["clock"] == 0
