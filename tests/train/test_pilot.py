import dataclasses
import json

import numpy as np
import pytest

from aquila_jax.config import plain
from aquila_jax.core.signals import Decision, Request
from aquila_jax.train import host as hosts
from aquila_jax.train import inbox, pilot
from aquila_jax.train.mentor import Mentor
from aquila_jax.train.replay import replay
from aquila_jax.train.step import train_step
from tests.train import small

NAMES = {"a": "en", "b": "zh"}


@pytest.fixture(scope="module")
def host(runs):
    """A run that stands at step 10."""
    made = small.config(runs / "store", mode="act")
    begun = hosts.start(made, Mentor(made, NAMES, {}), dict.fromkeys(NAMES, 1000))
    return dataclasses.replace(begun, step=10, sequences=80)


def asked(host):
    request = Request("branch", {"batch": 2 * host.batch, "lr_scale": 1.41421})
    return Decision(8, 11, host.control, request=request, rule="grow_batch")


@pytest.mark.parametrize(
    ("evidence", "grows"),
    [
        ({"worse": 0.005, "error": 0.001}, True),
        ({"worse": 0.05, "error": 0.001}, False),
        ({"worse": 0.05, "error": 0.03}, True),  # no surer than chance
        ({}, False),  # too little data left, or a branch was lost
    ],
)
def test_the_batch_grows_only_where_a_branch_says_that_it_costs_nothing(host, evidence, grows):
    after, [line, *_] = pilot.branched(host, asked(host), evidence)
    assert line["verdict"] == ("grown" if grows else "small")
    assert after.batch == (16 if grows else 8)
    assert after.control.lr_scale == (1.41421 if grows else 1.0)
    assert after.mentor.policy.ceiling == after.control.lr_scale


def test_branches_are_compared_on_the_same_data():
    now, larger = np.array([4.0, 3.0, 3.5, 3.1]), np.array([3.6, 3.4])
    told = pilot.compare(now, larger)
    assert told["worse"] == pytest.approx(0.1) and told["error"] == pytest.approx(0.0)
    assert pilot.compare(now, np.array([np.nan, 3.0])) == {}


def test_in_shadow_the_probe_only_advises(host, runs):
    evidence = {"scales": [1 / 3, 1.0, 3.0], "losses": [4.0, 4.5, None]}
    shadow = small.config(runs / "store", mode="shadow")
    assert pilot.begun(shadow, host, evidence)[0] is host
    after, [line] = pilot.begun(small.config(runs / "store", mode="act"), host, evidence)
    assert line["control"]["lr_scale"] == [1.0, after.control.lr_scale] != [1.0, 1.0]
    assert after.mentor.policy.ceiling == after.control.lr_scale


@pytest.fixture(scope="module")
def piloted(runs):
    """A rate fifty times too low, tried before the run, and a batch that may grow."""
    workdir = runs / "piloted"
    config = small.config(runs / "store", mode="act", probe=0.01, grow_batch_at=[0.3])
    config = small.change(config, "train", accumulate=2)
    config = small.change(config, "schedule", peak=0.02 * config.schedule.peak)
    before = train_step._cache_size()
    assert small.run(config, workdir) == "finished"
    return workdir, train_step._cache_size() - before


def test_the_probe_raises_a_rate_that_is_far_too_low(piloted):
    workdir, _ = piloted
    first = small.lines(workdir, "journal")[2]
    assert (first["rule"], first["effective_step"], first["mode"]) == ("probe", 1, "act")
    losses = first["evidence"]["losses"]
    assert losses == sorted(losses, reverse=True)  # each higher rate was better
    assert small.lines(workdir, "metrics")[0]["lr_scale"] == pytest.approx(0.7 * 3**4, rel=1e-3)


def test_a_run_that_is_built_again_from_its_beginning_has_the_rate_of_the_probe(runs):
    """Back to a step that is neither in the ring nor behind a checkpoint."""
    workdir = runs / "begun-again"
    config = small.config(runs / "store", mode="act", probe=0.01, snapshot_every=1000)
    config = small.change(config, "schedule", peak=0.02 * config.schedule.peak)
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps(plain(config)))
    rewind = {"kind": "rewind", "arguments": {"to_step": 3}}
    for _ in range(2):  # refused before step 1, and taken after step 5
        inbox.hand_in(workdir, {"author": "mei", "request": rewind})
    assert small.run(config, workdir) == "finished"
    shown = small.losses(workdir)
    before, after = ({s: loss for t, s, loss in shown if t == timeline} for timeline in (0, 1))
    assert [before[step] for step in (4, 5)] == [after[step] for step in (4, 5)]
    assert small.lines(workdir, "metrics")[0]["lr_scale"] != 1.0


def test_the_batch_grows_after_its_branches_and_compiles_once_more(piloted):
    workdir, compiled = piloted
    [told] = [line for line in small.lines(workdir, "journal") if line["kind"] == "branch"]
    lines = small.lines(workdir, "metrics")
    batches = [line["batch"] for line in lines]
    grew = told["verdict"] == "grown"
    assert told["evidence"]["sequences"] == 16 * small.BATCH and "worse" in told["evidence"]
    assert (batches[-1] == 2 * small.BATCH) == grew
    assert compiled <= 2  # one program a batch size, with the probe, the branches and the run
    assert np.diff([0, *(line["sequences"] for line in lines)]).tolist() == batches


def test_what_trials_showed_is_taken_from_the_journal_and_what_follows_is_not(piloted, tmp_path):
    workdir, _ = piloted
    assert replay(workdir).lines == len(small.lines(workdir, "journal"))
    for name in ("config.json", "metrics.jsonl", "journal.jsonl"):
        (tmp_path / name).write_bytes((workdir / name).read_bytes())
    lines = small.lines(workdir, "journal")
    lines[2]["control"]["lr_scale"][1] = 2.0
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match="line 3"):
        replay(tmp_path)
