"""The page: self-contained, safe, whole, and honest about what is missing."""

import json
import os
import re
import time

import pytest

from aquila_jax.report import page, read
from tests.report import synthetic


@pytest.fixture
def run(tmp_path):
    return synthetic.write_run(tmp_path / "run", steps=300, end=time.time())


def contents(path):
    """The contents as the browser gets them."""
    return json.loads(page.as_json(page.contents(read.read_runs([path]), now=time.time())))


def notes(path):
    return " ".join(note["en"] for note in contents(path)["runs"][0]["notes"])


def rows_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_one_file_that_fetches_nothing(run, tmp_path):
    out = page.write_page([run], tmp_path / "new" / "page.html")
    text = out.read_text(encoding="utf-8")
    assert [file.name for file in out.parent.iterdir()] == ["page.html"]
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"http", text)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text).group(1)
    assert json.loads(data)["runs"][0]["health"]["status"] == "healthy"


def test_a_folder_is_no_place_for_a_page(run, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ValueError, match=r"there is a folder where .*; name .*there/NAME.html"):
        page.write_page([run], tmp_path / "there")


def test_no_name_of_a_run_can_become_markup(run, tmp_path):
    evil = "</script><script>alert(1)</script>"
    file = run / "metrics.jsonl"
    file.write_text(file.read_text().replace("en_web", evil.replace("/", "\\/")))
    text = page.write_page([run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert evil not in text and "alert(1)" in text


def test_a_healthy_run_has_nothing_to_complain_about(run):
    assert "left behind by a rewind" in notes(run)
    assert len(contents(run)["runs"][0]["notes"]) == 1


def cut_journal(run):
    file = run / "journal.jsonl"
    file.write_bytes(file.read_bytes()[:-40])


def damage_journal(run):
    file = run / "journal.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], lines[3][:30], *lines[4:]]))


def drop_steps(run):
    rows = rows_of(run / "metrics.jsonl")
    synthetic.dump(run / "metrics.jsonl", [row for row in rows if not 40 <= row["step"] < 60])


def spoil_values(run):
    rows = rows_of(run / "metrics.jsonl")
    for i in (5, 6, 80):
        rows[i]["loss"] = "inf"
    rows[7]["grad_norm"] = None
    synthetic.dump(run / "metrics.jsonl", rows)


def spoil_every_value(run):
    rows = [{"step": row["step"], "loss": None} for row in rows_of(run / "metrics.jsonl")]
    synthetic.dump(run / "metrics.jsonl", rows)


def turn_clock_back(run):
    rows = rows_of(run / "metrics.jsonl")
    for row in rows[50:]:
        row["time"] -= 3600
    synthetic.dump(run / "metrics.jsonl", rows)


def remove(*names):
    def act(run):
        for name in names:
            (run / name).unlink()

    return act


def remove_checkpoints(run):
    (run / "checkpoints" / "100").rmdir()


def cut_settings(run):
    (run / "config.json").write_text('{"model": ')


def empty_metrics(run):
    (run / "metrics.jsonl").write_text("")


remove_events = remove("events.jsonl")
KEEP_ALL = {remove_events, cut_journal, damage_journal, drop_steps, spoil_values, turn_clock_back}
KEEP_ALL |= {remove_checkpoints, cut_settings}


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (cut_journal, "journal.jsonl ends in the middle of a line"),
        (damage_journal, "journal.jsonl: 1 unreadable lines were left out (line 4)"),
        (drop_steps, "Steps are missing in 1 places: 40–59."),
        (spoil_values, "Training loss is not a finite number at 3 steps, first at step 6."),
        (spoil_every_value, "Training loss is not a finite number at"),
        (turn_clock_back, "The clock went back 1 times, most by 59 min"),
        (remove("evaluations.jsonl"), "evaluations.jsonl is missing or empty: bits per byte"),
        (
            remove("journal.jsonl"),
            "journal.jsonl is missing or empty: decisions, alarms, forecasts",
        ),
        (remove_events, "events.jsonl is missing or empty: goodput is estimated"),
        (remove("metrics.jsonl"), "metrics.jsonl is missing or empty: no step"),
        (empty_metrics, "metrics.jsonl is missing or empty: no step"),
        (cut_settings, "config.json holds no JSON object that can be read"),
        (remove("metrics.jsonl", "journal.jsonl", "events.jsonl"), "no step"),
        (remove_checkpoints, "No checkpoint has been saved."),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_shown(run, act, said):
    whole = {panel["id"] for panel in contents(run)["panels"]}
    act(run)
    shown = {panel["id"] for panel in contents(run)["panels"]}
    assert said in notes(run)
    assert shown == whole if act in KEEP_ALL else shown < whole


def test_checkpoints_that_lie_elsewhere_are_not_called_missing(run):
    """Those of a run in object storage are not fetched with its records, which tell of the save."""
    remove_checkpoints(run)
    append("events.jsonl", b'{"time": 1.79e9, "kind": "save", "step": 100, "seconds": 1.0}')(run)
    assert "No checkpoint" not in notes(run)


def plan(total):
    def act(run):
        (run / "config.json").write_text(
            json.dumps({"schedule": {"total": total}, "train": {"batch": 1}})
        )
        log = [entry for entry in rows_of(run / "journal.jsonl") if entry["kind"] != "forecast"]
        synthetic.dump(run / "journal.jsonl", log)

    return act


def append(file, line):
    def act(run):
        (run / file).write_bytes((run / file).read_bytes() + line + b"\n")

    return act


def tell_milliseconds(run):
    rows = rows_of(run / "events.jsonl")
    rows[0]["time"] *= 1000
    synthetic.dump(run / "events.jsonl", rows)


@pytest.mark.parametrize(
    "act",
    [
        plan(10**15),
        plan(10**19),
        plan(10**40),
        tell_milliseconds,
        append("journal.jsonl", b'{"step": 1e30, "kind": "decision"}'),
        append("journal.jsonl", b'{"step": 1, "kind": "decision", "effective_step": 1e30}'),
        append("journal.jsonl", b'{"step": 1, "kind": "steer", "author": "\\ud800"}'),
    ],
)
def test_values_beyond_all_sense_do_not_cost_the_page(run, act, tmp_path):
    act(run)
    assert page.write_page([run], tmp_path / "page.html").stat().st_size > 10_000


def test_a_folder_may_have_any_name(tmp_path):
    run = synthetic.write_run(tmp_path / os.fsdecode(b"run\xff"), steps=100)
    text = page.write_page([run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>run\ufffd</title>" in text


def test_an_empty_folder_waits(tmp_path):
    (tmp_path / "run").mkdir()
    value = contents(tmp_path / "run")
    assert value["runs"][0]["health"]["status"] == "waiting"
    assert value["panels"] == [] and "no step has been finished yet" in notes(tmp_path / "run")


def test_lagging_language_is_marked_in_the_table(run):
    rows = contents(run)["runs"][0]["domains"]
    assert sum(row["lags"] for row in rows if row["group"] == "domains") == 1
    english = next(row for row in rows if row["name"]["en"] == "English")
    parts = [row for row in rows if row["name"]["en"] in {"en_web", "en_books"}]
    share = sum(int(row["share"].split("\u202f")[0]) for row in parts)
    assert english["share"].startswith(str(share))
