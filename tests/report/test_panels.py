"""Panels: what is drawn is what was recorded, and nothing is claimed that was not."""

import json
import re

import numpy as np
import pytest

from aquila_jax.core import journal
from aquila_jax.core.signals import PARAMETER_TYPES
from aquila_jax.report import data_panels, engine_panels, facts, panels, read, words
from tests.report import synthetic


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return synthetic.write_run(tmp_path_factory.mktemp("runs") / "run", steps=600)


@pytest.fixture(scope="module")
def drawn(folder):
    return {panel["id"]: panel for panel in panels.panels(read.read_runs([folder]))}


def roles(panel):
    return {series["role"]: series for series in panel["series"]}


def test_the_loss_ends_at_the_exact_last_step(folder, drawn):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    raw = roles(drawn["loss"])["raw"]
    assert raw["x"][-1] == rows[-1]["step"]
    assert raw["y"][-1] == np.float32(rows[-1]["loss"])
    assert (np.diff(raw["x"]) > 0).all()


def test_what_the_rewind_left_behind_is_drawn_apart(folder, drawn):
    rows = [
        json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    left = roles(drawn["loss"])["left"]
    spike, back = int(0.38 * 600), max(int(0.01 * 600), 8)
    assert left["x"].tolist() == list(range(spike - back + 1, spike + 1))
    assert len(rows) == len(set(rows)) + len(left["x"])


def test_the_band_is_shown_only_when_it_is_calibrated(folder, tmp_path):
    assert panels.panels(read.read_runs([folder]))[0]["ends"][0]["band"] is not None
    log = journal.Journal(tmp_path / "journal.jsonl")
    forecast = {"step": 9, "final_loss": 2.0, "low": 1.5, "high": 2.5, "calibrated_on": 0}
    log.append(9, "forecast", forecast=forecast, plan={"total_steps": 90})
    line = {"step": 10, "loss": 3.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    found = {panel["id"]: panel for panel in panels.panels(read.read_runs([tmp_path]))}
    assert found["loss"]["ends"][0] == {"run": 0, "x": [10, 90], "y": [3.0, 2.0], "band": None}
    assert "band" not in found["forecasts"]["series"][0]
    assert "not been calibrated" in found["loss"]["note"]["en"]


def test_phases_follow_each_other_to_the_end_of_the_plan(drawn):
    spans = drawn["loss"]["spans"]
    assert [span["name"] for span in spans] == ["language", "knowledge"]
    assert [span["x"] for span in spans] == [[0, 270], [270, 600]]


def test_every_mark_leads_to_its_entry(drawn):
    marks = drawn["loss"]["marks"]
    assert {mark["kind"] for mark in marks} == {"decision", "alarm", "rewind", "steer", "event"}
    assert len({mark["entry"] for mark in marks}) == len(marks)
    assert all(np.isfinite(mark["y"]) for mark in marks)


def test_mixtures_add_up_at_every_step(drawn):
    panel = drawn["mixture-0"]
    total = sum(series["y"] for series in panel["series"])
    np.testing.assert_allclose(total, 100, rtol=1e-5)
    assert panel["series"][0]["x"].tolist() == [0, 108, 204, 270, 360, 438]


def test_of_many_domains_the_largest_are_drawn_and_the_others_together():
    before = {f"d{i}": (i + 1) / 820 for i in range(40)}
    after = before | {"d0": before["d39"], "d39": before["d0"]}
    found = [(label["en"], share) for label, share in data_panels.areas([before, after])]
    names = [name for name, _ in found]
    assert names == ["d0", *(f"d{i}" for i in range(32, 40)), "31 others"]
    assert len(names) == len(set(names)) == data_panels.COLOURS
    np.testing.assert_allclose(sum(share for _, share in found), 1.0)
    assert len(data_panels.areas([dict.fromkeys("abcdefghij", 0.1)])) == 10


def test_the_page_has_a_colour_for_each_area():
    lists = re.findall(r"--palette: (.+);", (words.STATIC / "page.css").read_text())
    assert {len(colours.split(",")) for colours in lists} == {data_panels.COLOURS}


def test_nine_types_in_three_groups(drawn):
    named = [kind for kinds in engine_panels.TYPES.values() for kind in kinds]
    assert tuple(named) == PARAMETER_TYPES
    groups = [drawn[f"trajectory-{group}"] for group in engine_panels.TYPES]
    assert [len(group["series"]) for group in groups] == [4, 3, 2]


def test_time_adds_up_to_all_of_it(drawn):
    shares = [part["share"] for part in drawn["goodput"]["series"]]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_each_language_and_domain_has_both_panels(drawn):
    for name in synthetic.LANGUAGE:
        assert f"heldout-domains-{name}" in drawn and f"training-domains-{name}" in drawn
    for name in set(synthetic.LANGUAGE.values()):
        assert f"heldout-languages-{name}" in drawn and f"training-languages-{name}" in drawn


def test_missing_steps_break_the_curve(tmp_path):
    steps = [*range(1, 101), *range(151, 301)]
    lines = [json.dumps({"step": step, "loss": 2.0}) for step in steps]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    loss = panels.panels(read.read_runs([tmp_path]))[0]
    for series in loss["series"]:
        hole = np.flatnonzero(np.isnan(series["y"]))
        assert series["x"][hole].tolist() == [101]


def test_two_runs_share_their_panels(folder, tmp_path):
    other = synthetic.write_run(tmp_path / "other", steps=300, done=0.5, seed=1)
    found = {panel["id"]: panel for panel in panels.panels(read.read_runs([folder, other]))}
    for name in ("loss", "grad_norm", "heldout-domains-code", "goodput", "trajectory-mlp"):
        assert {series["run"] for series in found[name]["series"]} == {0, 1}
    assert {"mixture-0", "mixture-1"} <= found.keys()


def test_the_hosts_stand_side_by_side_with_the_slow_one_marked(tmp_path):
    rows = [
        {"host": f"h{i}", "data": 0.0, "device": 0.5, "probe": 0.01, "clock": 1e9} for i in (0, 1)
    ]
    rows[1] |= {"probe": 0.05, "clock": 1e9 + 30}
    event = {"time": 1e9, "kind": "hosts", "step": 8, "hosts": rows, "slow": [1], "clock_off": [1]}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n")
    run = read.read_run(tmp_path, "run")
    first, second = facts.hosts(run)
    assert (first["slow"], second["slow"]) == (False, True)
    assert (
        second["name"] == "1 · h1" and second["probe"] == "50.0 ms" and second["clock"] == "+30.0 s"
    )
    assert any("hosts 1 differ" in note["en"] for note in facts.notes(run))


def test_a_language_ends_where_its_domains_do_by_what_is_read_of_them(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    domains = {"books": "en", "docs": "en", "law": "zh", "poems": "zh", "unread": "en"}
    tokens = {"books": 30, "docs": 10, "law": 20, "poems": 20, "unread": 0}
    losses = {"domain_loss": dict.fromkeys(tokens, 4.0), "language_loss": {"en": 4.0, "zh": 4.0}}
    step = {"step": 1, "loss": 4.0} | losses
    (tmp_path / "metrics.jsonl").write_text(json.dumps(step | {"domain_tokens": tokens}) + "\n")
    ends = {"books": 2.0, "docs": 4.0, "law": 3.0}
    lines = [
        {"seq": 0, "step": 0, "kind": "start", "domains": domains},
        {"seq": 1, "step": 1, "kind": "forecast", "forecast": {"final_loss": 3.0, "domains": ends}},
    ]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = read.read_run(tmp_path, "run")
    told = {row["name"]["en"]: row["final"] for row in facts.domains(run)}
    # Nothing is known of the poems, and what is not read counts for nothing.
    assert (told["English"], told["Chinese"], told["law"]) == ("2.500", "", "3.000")
