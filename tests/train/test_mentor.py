import json

import pytest

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
    assert not [line for line in small.lines(workdir, "journal") if line["kind"] == "decision"]


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


def test_the_batch_grows_as_planned_and_the_schedule_does_not_notice(runs, plain):
    workdir = runs / "grown"
    config = small.config(runs / "store", mode="act", grow_batch_at=[0.5])
    config = small.change(config, "train", accumulate=2)
    assert small.run(config, workdir) == "finished"
    lines = small.lines(workdir, "metrics")
    batches = [line["batch"] for line in lines]
    assert batches[0] == small.BATCH and batches[-1] == 2 * small.BATCH
    assert lines[-1]["sequences"] == pytest.approx(small.STEPS * small.BATCH, abs=small.BATCH)
    [decided] = [line for line in small.lines(workdir, "journal") if line["kind"] == "decision"]
    grown = next(i for i, batch in enumerate(batches) if batch > small.BATCH)
    assert lines[grown]["step"] == decided["effective_step"]
    assert lines[grown]["lr_scale"] == pytest.approx(2**0.5, rel=1e-5)
    read = [line["sequences"] for line in lines]
    assert [b - a for a, b in zip([0, *read], read, strict=False)] == batches


def test_the_state_is_strict_json(plain):
    saved = plain / "checkpoints" / str(small.STEPS) / "host" / "metadata"
    assert json.loads(saved.read_text())["mentor"]["policy"]["clock"] == 0
