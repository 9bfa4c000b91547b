import pytest

from tests.train import faults, small

BATCH = small.BATCH
BAD = (37 * BATCH, 48 * BATCH)  # the data of steps 38 to 48


@pytest.fixture(scope="module")
def rewound(runs):
    """A run through a stretch of bad labels, never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        faults.mislabel(patch, *BAD)
        assert small.run(small.config(runs / "store", mode="act"), runs / "rewound") == "finished"
    return runs / "rewound"


def of_kind(workdir, kind):
    return [line for line in small.lines(workdir, "journal") if line["kind"] == kind]


def test_it_goes_back_to_before_the_bad_data_and_never_reads_it_again(rewound):
    [line] = of_kind(rewound, "rewind")
    assert (line["to_step"], line["timeline"], line["step"]) == (32, 1, 42)
    shown = small.losses(rewound)
    assert max(loss for timeline, _, loss in shown if timeline == 1) < 5.7
    bad = [loss for timeline, step, loss in shown if timeline == 0 and step >= 38]
    assert len(bad) == 7 and min(bad) > 6.2  # five to see it, two in flight
    assert [step for timeline, step, _ in shown if timeline == 1] == list(range(33, 61))


def test_the_steps_that_are_run_again_are_the_same_bit_for_bit(rewound):
    shown = small.losses(rewound)
    before = {step: loss for timeline, step, loss in shown if timeline == 0}
    after = {step: loss for timeline, step, loss in shown if timeline == 1}
    assert [before[step] for step in range(33, 38)] == [after[step] for step in range(33, 38)]


def test_the_lost_tokens_are_counted(rewound):
    lines = small.lines(rewound, "metrics")
    tokens = [sum(line["domain_tokens"].values()) for line in lines]
    assert lines[-1]["tokens"] == sum(tokens)
    lost = sum(n for n, line in zip(tokens, lines, strict=True)
               if line["timeline"] == 0 and line["step"] > 32)  # fmt: skip
    assert of_kind(rewound, "rewind")[0]["wasted"] == lost


def test_the_suspect_step_is_run_again_to_find_whose_fault_it_was(rewound):
    told = of_kind(rewound, "rewind")[0]["evidence"]
    assert told["suspect_step"] == 38 and told["verdict"] == "data"
    assert told["repeated"]["loss"] == pytest.approx(told["recorded"]["loss"], rel=1e-5)
    assert told["other_batch"]["loss"] < 5.7
    assert len(told["documents"]) == 3 and all(d["nats"] > 6 for d in told["documents"])
    assert all(d["source"]["file"] for d in told["documents"])


def test_what_it_did_is_judged(rewound):
    [judged] = of_kind(rewound, "verify")
    assert judged["rule"] == "rewind" and judged["verdict"] == "kept"
    [decided] = of_kind(rewound, "decision")
    assert judged["step"] == decided["predict"]["verify_step"] == 52


def test_killed_before_and_after_the_rewind_it_ends_the_same(runs, rewound):
    """Before it the snapshot is lost with the process: it is made again from a checkpoint."""
    workdir, config = runs / "killed", small.config(runs / "store", mode="act")
    with pytest.MonkeyPatch.context() as patch:
        faults.mislabel(patch, *BAD)
        faults.die(patch, 41 * BATCH)  # in step 42, the newest checkpoint being that of 40
        faults.die(patch, 62 * BATCH)  # after it: the numbers in between are left out
        for _ in range(2):
            with pytest.raises(faults.Died):
                small.run(config, workdir)
        assert small.run(config, workdir) == "finished"
    assert small.losses(workdir) == small.losses(rewound)
    assert small.last_checkpoint(workdir) == small.last_checkpoint(rewound)
    names = [(folder / "journal.jsonl").read_bytes() for folder in (workdir, rewound)]
    assert names[0] == names[1]


def test_a_fault_that_does_not_repeat_is_the_hardwares(runs):
    with pytest.MonkeyPatch.context() as patch:
        faults.not_finite(patch, 38, 44)
        config = small.config(runs / "store", mode="act")
        assert small.run(config, runs / "flipped") == "finished"
    [line] = of_kind(runs / "flipped", "rewind")
    assert line["evidence"]["verdict"] == "hardware"
    assert line["evidence"]["recorded"]["grad_norm"] == "nan"
    assert sum(line["skipped"] for line in small.lines(runs / "flipped", "metrics")) == 7


def test_in_shadow_it_only_says_what_it_would_do(runs):
    with pytest.MonkeyPatch.context() as patch:
        faults.mislabel(patch, 77 * BATCH, 88 * BATCH)  # the norm is judged by then, too
        config = small.config(runs / "store", mode="shadow")
        config = small.change(config, "schedule", total=100 * BATCH)
        assert small.run(config, runs / "shadow") == "finished"
    decided = of_kind(runs / "shadow", "decision")
    assert decided[0]["mode"] == "shadow" and decided[0]["request"]["kind"] == "rewind"
    assert not of_kind(runs / "shadow", "rewind")
    assert {timeline for timeline, *_ in small.losses(runs / "shadow")} == {0}
