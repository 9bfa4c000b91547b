"""The time line: every entry in words, with its evidence and what the loss did since."""

import pytest

from aquila_jax.report import columns, read, timeline


def run(journal=(), events=()):
    rows = [{"step": i, "loss": 3.0 if i < 200 else 2.0} for i in range(1, 401)]
    return read.Run(
        path=None, name="run", logs={}, metrics=columns.from_rows(rows), evaluations=(),
        journal=tuple(journal), events=tuple(events), config={}, summary={},
    )  # fmt: skip


def only(entry):
    (found,) = timeline.entries(run([entry]), 0)
    return found


DECISION = {"step": 198, "kind": "decision", "effective_step": 200, "mode": "act",
            "rule": "spike", "author": "mentor"}  # fmt: skip


def test_a_mixture_is_compared_with_the_one_in_force_and_not_with_one_that_was_only_wanted():
    even, wanted = {"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.1}
    advice = DECISION | {"mode": "shadow", "weights": wanted}
    given = ({"kind": "mixture", "weights": even}, advice, advice)
    assert timeline.previous_weights(given) == [{}, even, even]


@pytest.mark.parametrize("change", [[1.0, 0.7], {"old": 1.0, "new": 0.7}])
def test_control_changes(change):
    entry = only(DECISION | {"control": {"lr_scale": change, "clip_norm": 0.5}})
    assert entry["what"]["en"] == "learning rate factor 1 → 0.7, clip norm 0.5"
    assert entry["what"]["zh"].startswith("学习率系数 1 → 0.7，")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"kind": "verify", "rule": "back_off", "action_step": 90, "verdict": "undone"},
         "what was done at step 90: undone"),
        ({"kind": "branch", "rule": "grow_batch", "batch": [8, 16], "verdict": "small"},
         "batch 8 → 16: stays as it is"),
        ({"kind": "disabled", "rule": "guard", "why": "KeyError()"},
         "the rule update ratio against the reference failed"),
    ],
)  # fmt: skip
def test_what_became_of_a_rule(entry, words):
    told = only({"step": 150} | entry)["what"]
    assert told["en"].startswith(words) and told["zh"] != told["en"]


def test_mixture_tells_what_moved_most():
    before = {"step": 0, "kind": "mixture", "weights": {"a": 0.5, "b": 0.3, "c": 0.2, "d": 0.0}}
    after = DECISION | {"weights": {"a": 0.3, "b": 0.3, "c": 0.3, "d": 0.1}}
    entry = timeline.entries(run([before, after]), 0)[0]
    assert entry["what"]["en"].startswith("mixture: a 50\u202f% → 30\u202f%")
    assert "b 30" not in entry["what"]["en"]


def test_requests_and_exclusions():
    request = {"kind": "rewind", "arguments": {"to_step": 1000}}
    entry = only(DECISION | {"request": request, "exclude": [[5000, 6000]]})
    assert entry["what"]["en"] == "leave out sequences 5,000–6,000, rewind: to step 1,000"
    entry = only(DECISION | {"documents": [["web", n] for n in range(7)]})
    assert entry["what"]["zh"] == "排除文档 web:0, web:1, web:2, web:3, web:4 … (7)"


def test_a_rewind_says_what_it_leaves_out():
    arguments = {"to_step": 320, "suspect_step": 327, "exclude": [2608, 2808]}
    entry = only(DECISION | {"request": {"kind": "rewind", "arguments": arguments}})
    assert entry["what"]["en"] == "rewind to step 320, leave out sequences 2,608–2,808"


@pytest.mark.parametrize("verdict,words", [("hardware", "hardware"), ("data", "this batch alone")])
def test_a_rewind_says_what_the_suspect_step_showed_again(verdict, words):
    entry = {"step": 331, "kind": "rewind", "to_step": 320}
    assert only(entry)["what"]["en"] == "back to step 320"
    told = only(entry | {"evidence": {"suspect_step": 327, "verdict": verdict}})["what"]
    assert told["en"].startswith("back to step 320; step 327 done once more: ")
    assert words in told["en"] and told["zh"] != told["en"]


def test_a_rewind_that_came_to_nothing_says_why():
    entry = only({"step": 45, "kind": "unreached", "to_step": 15, "rule": "rewind", "why": "Gone."})
    assert entry["what"]["en"].startswith("step 15 cannot be reached again; the run goes on")
    assert entry["why"]["en"] == "Gone."


def test_an_alarm_has_cause_remedy_and_evidence():
    alarm = {"kind": "plateau", "step": 9, "confidence": 0.75, "cause": "C.", "remedy": "R.",
             "evidence": {"gain": 0.01, "threshold": 0.02, "deep": {"layer": 3}}}  # fmt: skip
    entry = only({"step": 9, "kind": "alarm", "alarm": alarm})
    assert entry["what"]["en"] == "plateau (75\u202f% sure)"
    assert entry["why"]["en"] == "C." and entry["todo"]["en"] == "R."
    assert ["deep · layer", "3"] in entry["evidence"] and ["gain", "0.01"] in entry["evidence"]


def test_outcome_is_measured_and_advice_has_none():
    assert only(DECISION)["outcome"]["en"] == "loss 3.000 → 2.000 after 100 steps"
    assert only(DECISION | {"effective_step": 350})["outcome"]["en"] == "too early to tell"
    assert only(DECISION | {"mode": "shadow"})["outcome"]["en"] == "nothing was changed"


def test_latest_first_with_names_that_stay():
    journal = [{"step": s, "kind": "phase", "name": str(s)} for s in (0, 100)]
    events = [{"step": 50, "kind": "stall", "time": 5.0, "seconds": 9.0},
              {"step": 60, "kind": "save"}]  # fmt: skip
    first = timeline.entries(run(journal, events), 0)
    assert [entry["step"] for entry in first] == [100, 50, 0]
    more = timeline.entries(run([*journal, {"step": 70, "kind": "phase"}], events), 0)
    assert {entry["id"]: entry["step"] for entry in first}.items() <= {
        entry["id"]: entry["step"] for entry in more
    }.items()
    assert first[1]["time"] == 5.0 and first[1]["evidence"] == [["seconds", "9"]]


def event(kind, **fields):
    (found,) = timeline.entries(run(events=[{"kind": kind, "step": 9, "time": 1.0} | fields]), 0)
    return found


def test_how_a_run_was_stopped_is_told_in_words():
    called, stopped = event("stop", why="called"), event("stop", why="stopped")
    assert "person" in called["what"]["en"] and "signal" in stopped["what"]["en"]
    for entry in (called, stopped):
        assert entry["why"]["zh"] == "" and entry["what"]["zh"] != entry["what"]["en"]


def test_a_slow_step_says_in_chinese_too_how_slow():
    told = event("slow", why="A step took 37.1 s.", seconds=37.1, typical=0.07)
    assert told["why"]["en"] == "A step took 37.1 s."
    assert "37.1 秒" in told["why"]["zh"] and told["todo"]["zh"]


def test_an_order_that_was_refused_is_told_with_the_reason():
    told = event("refused", order="1.json", why="lr_scale=9 must be at most 1.")
    assert told["what"]["en"] == "an order was refused"
    assert told["why"]["en"] == "lr_scale=9 must be at most 1."


def test_within_a_step_the_cause_stands_below_what_followed():
    decided = DECISION | {"request": {"kind": "rewind", "arguments": {"to_step": 160}}}
    journal = [
        {"step": 0, "kind": "mixture", "weights": {"a": 1.0}},
        {"step": 198, "kind": "alarm", "alarm": {"kind": "spike"}},
        decided,
        {"step": 198, "kind": "rewind", "to_step": 160},
        {"step": 208, "kind": "verify", "rule": "rewind", "action_step": 198, "verdict": "kept"},
    ]
    events = [{"kind": "start", "step": 0}, {"kind": "finish", "step": 208}]
    kinds = [entry["kind"] for entry in timeline.entries(run(journal, events), 0)]
    assert kinds == ["event", "verify", "rewind", "decision", "alarm", "mixture", "event"]
    pause = [{"kind": kind, "step": 208} for kind in ("stop", "resume")]
    told = [entry["what"]["en"] for entry in timeline.entries(run(journal, pause), 0)]
    assert told[:3] == ["resumed", "asked to stop", "what was done at step 198: kept"]


@pytest.mark.parametrize("kind", timeline.JOURNAL_KINDS)
@pytest.mark.parametrize(
    "odd",
    [{}, {"alarm": None, "control": 3, "weights": [1], "request": "x", "exclude": 7},
     {"alarm": {}, "control": {"a": {}}, "weights": {"a": None}, "request": {"kind": None},
      "evidence": {"a": {}}, "predict": {"b": [1, {}]}, "mode": None, "effective_step": None}],
)  # fmt: skip
def test_no_entry_breaks_the_page(kind, odd):
    entry = only({"step": 5, "kind": kind} | odd)
    assert entry["what"]["en"] and entry["step"] == 5
