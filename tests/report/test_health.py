"""The health line: which of the states a run is in, and what the sentence says."""

import numpy as np
import pytest

from aquila_jax.report import columns, health, loss_panels, read, records

NOW = 1_000_000.0


def run(
    last=500, *, loss=2.5, total=1000, seconds=2.0, journal=(), events=(), summary=None,
    evaluations=(),
):  # fmt: skip
    rows = [
        {"step": i, "loss": loss, "tokens": 100 * i, "time": NOW - seconds * (last - i),
         "step_seconds": seconds, "tokens_per_second": 50.0}
        for i in range(1, last + 1)
    ]  # fmt: skip
    return read.Run(
        path=None, name="run", logs={}, metrics=columns.from_rows(rows),
        evaluations=tuple(evaluations), journal=tuple(journal), events=tuple(events),
        config={"schedule": {"total": 10 * total}, "train": {"batch": 10}}, summary=summary or {},
    )  # fmt: skip


def alarm(step):
    return {"step": step, "kind": "alarm", "alarm": {"kind": "spike", "confidence": 0.9}}


def forecast(calibrated):
    told = {
        "step": 400,
        "final_loss": 2.25,
        "low": 2.125,
        "high": 2.375,
        "calibrated_on": calibrated,
    }
    return {"step": 400, "kind": "forecast", "forecast": told}


@pytest.mark.parametrize(
    ("status", "given"),
    [
        ("healthy", {}),
        ("healthy", {"journal": [alarm(100)]}),
        ("warning", {"journal": [alarm(450)]}),
        ("warning", {"loss": np.inf}),
        ("stopped", {"events": [{"kind": "stop", "step": 500, "time": NOW}]}),
        ("stopped", {"events": [{"kind": "failed", "why": "OSError: no", "time": NOW}]}),
        ("stopped", {"last": 0, "events": [{"kind": "failed", "why": "OSError: no", "time": NOW}]}),
        ("healthy", {"events": [{"kind": "failed"}, {"kind": "resume", "time": NOW}]}),
        ("healthy", {"events": [{"kind": "stop"}, {"kind": "resume", "time": NOW}]}),
        ("finished", {"events": [{"kind": "finish", "time": NOW}]}),
        ("finished", {"last": 1000}),
        ("finished", {"summary": {"loss": 2.5}}),
        ("waiting", {"last": 0}),
    ],
)
def test_status(status, given):
    told = health.health(run(**given), NOW + 1)
    assert told["status"] == status
    assert told["lead"]["en"] and told["lead"]["zh"]


def test_who_stopped_a_run_is_told():
    """The mentor, and for which reason; else a person or a signal, whatever the mentor did before."""
    stop = {"kind": "stop", "arguments": {"why": "the data are not those of the mixture"}}
    called = {"step": 500, "kind": "decision", "rule": "wrong_data", "request": stop}
    by_hand = {"step": 500, "kind": "steer", "author": "me", "request": {"kind": "stop"}}
    event = {"kind": "stop", "why": "called", "step": 500, "time": NOW}

    def lead(journal, **event_fields):
        return health.health(run(journal=journal, events=[event | event_fields]), NOW)["lead"]

    assert lead([called])["en"] == "Stopped: the data are not those of the mixture"
    assert lead([called])["zh"] == "已停止：数据与配比不符"
    assert lead([called, by_hand])["en"] == "Stopped: asked to stop"
    assert lead([called], why="stopped")["en"] == "Stopped: asked to stop"
    text = health.health(run(journal=[called], events=[event]), NOW)["text"]
    assert "stop and call a person" in text["en"] and "why" not in text["en"]


def test_a_silent_run_counts_as_stopped():
    assert health.health(run(), NOW + 599)["status"] == "healthy"
    told = health.health(run(), NOW + 7200)
    assert told["status"] == "stopped" and "2 h" in told["lead"]["en"]


def test_where_steps_are_long_so_may_be_the_silence():
    slow = run(seconds=100.0)
    assert health.health(slow, NOW + 2900)["status"] == "healthy"
    assert health.health(slow, NOW + 3100)["status"] == "stopped"


def test_the_plan_is_that_of_the_latest_forecast():
    """A batch that grew, or a decay that moved, changes how many steps there are."""
    plans = [forecast(20) | {"plan": {"total_steps": steps}} for steps in (900, 800)]
    told = health.health(run(journal=plans), NOW)
    assert "Step 500 of 800" in told["text"]["en"] and told["progress"] == 500 / 800


def test_the_sentence_tells_step_loss_end_and_time_left():
    told = health.health(run(journal=[forecast(20)]), NOW)
    assert "Step 500 of 1,000, loss 2.500." in told["text"]["en"]
    assert "Forecast to end at 2.250 (2.125 to 2.375)." in told["text"]["en"]
    assert "16 min 40 s left." in told["text"]["en"]
    assert "剩余 16 分 40 秒。" in told["text"]["zh"]
    assert told["progress"] == 0.5


def test_a_finished_run_forecasts_nothing():
    told = health.health(run(1000, journal=[forecast(20)]), NOW)["text"]["en"]
    assert told == "Step 1,000 of 1,000, loss 2.500."


def test_a_finished_run_shows_what_was_foretold_half_way():
    made = [forecast(20) | {"step": step, "forecast": {"final_loss": loss, "calibrated_on": 0}}
            for step, loss in ((400, 3.4), (500, 3.5), (1000, 2.5))]  # fmt: skip
    told = {
        tile["label"]["en"]: tile for tile in health.health(run(1000, journal=made), NOW)["tiles"]
    }
    assert told["Foretold half-way"]["value"]["en"] == "3.500"
    assert told["Time left"]["detail"]["en"].startswith("ended ")
    early = health.health(run(1000, journal=made[:1]), NOW)["tiles"]
    assert early[1]["detail"]["en"] == "no forecast was made"


def test_no_band_is_claimed_without_calibration():
    told = health.health(run(journal=[forecast(0)]), NOW)
    assert "2.125" not in told["text"]["en"] and "no band yet" in told["text"]["en"]
    assert all("2.125" not in tile["detail"]["en"] for tile in told["tiles"])


def test_the_last_decision_says_whether_it_was_done():
    decision = {"step": 300, "kind": "decision", "effective_step": 302, "mode": "act",
                "rule": "spike", "control": {"lr_scale": [1.0, 0.7]}}  # fmt: skip
    told = health.health(run(journal=[decision]), NOW)["text"]["en"]
    assert "Last decision, step 300: learning rate factor 1 → 0.7." in told
    told = health.health(run(journal=[decision | {"mode": "shadow"}]), NOW)["text"]["en"]
    assert "not acted on: learning rate factor 1 → 0.7." in told


def test_the_slowest_domain_is_named():
    curves = {"good": (2.0, 1.0, 0.8), "lags": (2.0, 1.0, 0.99), "fair": (2.0, 1.0, 0.9)}
    rows = [
        {"step": step, "kind": "heldout",
         "domains": {name: {"bits_per_byte": curve[i]} for name, curve in curves.items()}}
        for i, step in enumerate((1, 250, 500))
    ]  # fmt: skip
    given = run(evaluations=rows)
    assert records.falls(given, "domains") == pytest.approx(
        {"good": 0.2, "lags": 0.01, "fair": 0.1}
    )
    assert records.falls(run(evaluations=[rows[0], rows[2]]), "domains") == {}
    told = health.health(given, NOW)["text"]
    assert "by bits per byte: lags −1.0\u202f% (median −10.0\u202f%)." in told["en"]
    assert "下降最慢：lags −1.0\u202f%（中位数 −10.0\u202f%）。" in told["zh"]


def test_a_language_that_got_worse_is_named_with_its_sign():
    curves = {"en": (2.0, 1.0, 0.8), "zh": (2.0, 1.0, 1.02)}
    rows = [
        {"step": step, "kind": "heldout",
         "languages": {name: {"bits_per_byte": curve[i]} for name, curve in curves.items()}}
        for i, step in enumerate((1, 250, 500))
    ]  # fmt: skip
    told = health.health(run(evaluations=rows), NOW)["text"]
    assert "by bits per byte: Chinese +2.0\u202f% (median −9.0\u202f%)." in told["en"]
    assert "下降最慢：中文 +2.0\u202f%" in told["zh"]


def test_evaluations_left_behind_by_a_rewind_do_not_count():
    rows = [{"step": step, "kind": "heldout", "domains": {"a": {"bits_per_byte": bits}}}
            for step, bits in ((100, 3.0), (200, 9.0), (150, 2.0), (200, 1.0))]  # fmt: skip
    curve = records.heldout(run(evaluations=rows), "domains")["a"]
    assert curve == [(100, 3.0), (150, 2.0), (200, 1.0)]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"step": 700, "earliest": 650, "latest": None}, "near step 700 (650 to –), in 6 min 40 s"),
        ({"step": 700, "earliest": None, "latest": None}, "near step 700, in 6 min 40 s"),
        ({"step": None}, "is not reached within the plan"),
        ({"step": 480}, "is reached"),
    ],
)
def test_the_target_is_told_in_steps_and_in_time(target, words):
    entry = forecast(0) | {"target": {"loss": 2.4} | target}
    told = health.health(run(journal=[entry]), NOW + 1)
    assert f"Target 2.400 {words}" in told["text"]["en"]
    assert "2.400" in told["text"]["zh"]


def test_schedules_are_offered_until_the_decay_has_begun():
    early = forecast(30) | {"schedules": {"0.2": 2.3, "now": 2.4}}
    late = forecast(30) | {"schedules": {"now": 2.4}}
    assert "another share" in loss_panels.outlook(run(journal=[early]))["en"]
    assert loss_panels.outlook(run(journal=[late])) is None
