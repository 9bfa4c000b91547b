"""Both languages say the same things, and numbers are written for a reader."""

import math
import re

import pytest

from aquila_jax.ate.rules import RULES
from aquila_jax.report import words
from aquila_jax.tsm import alarms, tokens


def test_each_entry_speaks_every_language_with_the_same_places():
    for key, entry in words.WORDS.items():
        assert tuple(entry) == words.LANGUAGES, key
        english, chinese = (set(re.findall(r"\{(\w+)\}", text)) for text in entry.values())
        assert english == chinese, key
        assert all(text.strip() for text in entry.values()), key


def test_the_page_asks_for_no_unknown_words():
    scripts = "".join(path.read_text() for path in words.STATIC.glob("*.js"))
    asked = set(re.findall(r'say\("([\w.]+)"', scripts))
    sources = "".join(path.read_text() for path in words.STATIC.parent.glob("*.py"))
    asked |= set(re.findall(r'say\(\s*"([\w.]+)"', sources))
    assert asked and asked <= words.WORDS.keys()


@pytest.mark.parametrize("kind", words.ADVICE)
def test_chinese_advice_needs_no_other_evidence_than_the_english(kind):
    def places(texts):
        return set(re.findall(r"\{(\w+)", " ".join(texts)))

    assert kind in alarms.ADVICE
    assert places(words.ADVICE[kind]) <= places(alarms.ADVICE[kind])
    assert f"alarm.{kind}" in words.WORDS


def test_every_rule_and_every_alarm_has_its_chinese():
    assert words.ADVICE.keys() == alarms.ADVICE.keys()
    named = {f"rule.{rule.name}" for rule in RULES} | {"rule.undo", "rule.probe", "rule.held_out"}
    assert named <= words.WORDS.keys()


def test_advice_falls_back_to_the_journal():
    alarm = {"kind": "plateau", "evidence": {"gain": 0.01}, "cause": "c", "remedy": "r"}
    assert words.advice(alarm) == ({"en": "c", "zh": "c"}, {"en": "r", "zh": "r"})
    whole = alarm | {"evidence": {"gain": 0.01, "threshold": 0.02}}
    assert "0.0100" in words.advice(whole)[0]["zh"]
    assert words.advice({})[0] == {"en": "", "zh": ""}


@pytest.mark.parametrize("what", [*tokens.STATISTICS, "weight rms", "gradient norm"])
def test_what_an_alarm_measured_is_told_in_chinese(what):
    evidence = {"layer": 3, "ratio": 2.0, "domain": "7", "away": 3.0, "deviations": 9.0}
    for kind in ("exploding_layer", "token_statistics"):
        told = words.advice({"kind": kind, "evidence": evidence | {"what": what}})[0]["zh"]
        assert not re.search("[a-z]", told.replace("`trace`", ""))


@pytest.mark.parametrize(
    ("blame", "chinese"),
    [("90% of the excess came from domain zh_docs", "超出部分的 90% 来自领域 zh_docs"),
     ("no single domain is to blame", "没有哪个领域是单独的起因"), ("who knows", "who knows")],
)  # fmt: skip
def test_words_in_evidence_are_translated_where_they_are_known(blame, chinese):
    told = words.advice(
        {"kind": "spike", "evidence": {"z": 7.0, "what": "grad_norm", "blame": blame}}
    )
    assert chinese in told[0]["zh"] and told[0]["zh"].startswith("梯度范数")


def test_values_may_be_texts_themselves():
    told = words.say("health.stopped", why=words.name("event", "stop"))
    assert told == {"en": "Stopped: asked to stop", "zh": "已停止：按要求停止"}
    assert words.name("alarm", "brand_new") == {"en": "brand new", "zh": "brand new"}


@pytest.mark.parametrize(
    ("seconds", "english"),
    [(0, "0 s"), (0.25, "250 ms"), (59.6, "1 min"), (11_520, "3 h 12 min"), (86_400, "1 d"),
     (90_061, "1 d 1 h"), (math.nan, "–"), (-5, "0 s")],
)  # fmt: skip
def test_durations(seconds, english):
    assert words.duration(seconds)["en"] == english


@pytest.mark.parametrize(
    ("value", "written"),
    [(1234, "1.23K"), (31_001_149_440, "31B"), (999_600, "1M"), (0.5, "0.5"), (1.2e13, "12T"),
     (math.inf, "–")],
)  # fmt: skip
def test_compact(value, written):
    assert words.compact(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(12345, "12,345"), (0.123456, "0.1235"), (True, "yes"), (None, "–"), (3.0, "3"),
     ([1, 2.5], "1, 2.5"), ({"a": 1}, "a 1"), (math.inf, "inf"), ("x", "x")],
)  # fmt: skip
def test_number(value, written):
    assert words.number(value) == written
