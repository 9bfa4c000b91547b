import argparse

import pytest

from launch import gauntlet, gauntlet_plan, gauntlet_result, gauntlet_table

USUAL = [[100, "spike"]]


def test_a_sign_that_the_clean_run_gives_near_there_does_not_count():
    near, far = 100 + gauntlet_result.NEAR, 101 + gauntlet_result.NEAR
    assert gauntlet_result.detected([[near, "spike"]], USUAL, 90) is None
    assert gauntlet_result.detected([[far, "spike"]], USUAL, 90) == {
        "steps": far - 90, "sign": "spike",
    }  # fmt: skip
    assert gauntlet_result.detected([[100, "plateau"]], USUAL, 90)["sign"] == "plateau"


def test_the_first_sign_from_the_fault_on_counts_a_decision_among_them():
    seen = [[89, "spike"], [90, "decided guard"], [95, "spike"]]
    assert gauntlet_result.detected(seen, [], 90) == {"steps": 0, "sign": "decided guard"}
    assert gauntlet_result.detected(seen, [], 96) is None
    assert gauntlet_result.detected(seen, [], None) is None


def test_every_source_of_signs_is_read():
    metrics = [{"step": 3, "skipped": 1}, {"step": 4, "skipped": 0}]
    journal = [
        {"step": 5, "kind": "alarm", "alarm": {"kind": "spike"}},
        {"step": 6, "kind": "decision", "rule": "guard"},
        {"step": 7, "kind": "rewind"},
    ]
    found = gauntlet_result.signs(metrics, journal, [{"step": 1, "kind": "stall"}])
    assert found == [[2, "stalled"], [3, "skipped"], [5, "spike"], [6, "decided guard"]]


def asked(**fields):
    return argparse.Namespace(**{"only": None, "seeds": 3} | fields)


@pytest.mark.parametrize("options", [asked(), asked(seeds=12), asked(only=["nan_burst"])])
def test_every_run_is_planned_once_and_what_it_is_compared_with_before_it(options):
    keys = gauntlet.everything(options)
    assert len(set(keys)) == len(keys)
    for fault, policy, seed in keys:
        assert keys.index(("healthy", "static", seed)) <= keys.index((fault, policy, seed))
    later_peers = [key[1] == "peers" and key[2] > 0 for key in keys]
    assert later_peers == sorted(later_peers)


def options_of(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["gauntlet", "--work", "somewhere", *arguments])
    return gauntlet.parsed(argparse.ArgumentParser())


def test_runs_of_another_length_are_kept_apart(monkeypatch):
    published, short = options_of(monkeypatch), options_of(monkeypatch, "--tokens", "65536")
    key = ("healthy", "static", 0)
    for place in (gauntlet.folder, gauntlet.result_file):
        assert place(published, *key) != place(short, *key)
    assert gauntlet_plan.reference_file(published) != gauntlet_plan.reference_file(short)
    assert published.results == gauntlet.ROOT / "docs/results/gauntlet"
    assert short.results.is_relative_to(short.work)
    named = options_of(monkeypatch, "--tokens", "65536", "--results", "there")
    assert str(named.results) == "there"


def ended(fault="healthy", outcome="finished", **domains):
    final = gauntlet_result.final(fault, domains)
    return {
        "fault": fault, "policy": "aquila", "outcome": outcome, "final": final, "domains": domains,
        "detected": None, "wasted": 0, "tokens": 100, "decisions": [], "rewinds": 0,
    }  # fmt: skip


def test_the_domain_that_is_garbage_is_left_out_on_both_sides():
    clean = ended(bad=1.0, good=4.0)
    assert gauntlet_table.excess(ended("garbage_domain", bad=9.0, good=4.4), clean) == (
        pytest.approx(0.1)
    )
    assert gauntlet_table.excess(ended("nan_batch", bad=2.0, good=4.0), clean) == pytest.approx(0.2)


def test_there_is_no_excess_without_an_end():
    lost, bad = ended(), ended(web=float("nan"))
    assert lost["final"] is None and bad["final"] is None
    for run, clean in ((lost, ended(web=1.0)), (ended(web=1.0), lost), (ended(web=1.0), None)):
        assert gauntlet_table.excess(run, clean) is None


def test_only_a_run_with_an_end_has_survived():
    runs = [ended(web=1.0), ended(web=float("inf")), ended(outcome="called")]
    for run in runs:
        run["excess"] = gauntlet_table.excess(run, ended(web=1.0))
    row = gauntlet_table.summary(runs, "healthy", "aquila")
    assert (row["runs"], row["survived"], row["called"], row["near"]) == (3, 1, 1, 1)
    assert row["worst"] == 0
    assert "| healthy | aquila | 1/3 (1 called) | 1/3 | +0.00% |" in gauntlet_table.table([row])[-1]
    alone = gauntlet_table.summary(runs[2:], "healthy", "aquila")
    assert "| lost | lost |" in gauntlet_table.table([alone])[-1]
