"""What the page says, in every language it speaks, and how it writes numbers."""

import datetime
import json
import math
import os
import re
from pathlib import Path

LANGUAGES = ("en", "zh")
Text = dict[str, str]  # language -> words

STATIC = Path(__file__).parent / "static"
# Cause and remedy of each kind of alarm in Chinese; the journal holds them in English.
BLAME = re.compile(r"(\d+%) of the excess came from domain (.+)")  # as the monitor says it
ADVICE: dict[str, list[str]] = json.loads((STATIC / "advice.zh.json").read_text(encoding="utf-8"))
WORDS: dict[str, Text] = json.loads((STATIC / "words.json").read_text(encoding="utf-8"))


def say(key: str, **values: object) -> Text:
    """The words under `key` with its places filled; a value may itself be a Text."""
    return {
        language: WORDS[key][language].format_map(
            {name: spoken(value, language) for name, value in values.items()}
        )
        for language in LANGUAGES
    }


def spoken(value: object, language: str) -> str:
    """The value in one language."""
    return value[language] if isinstance(value, dict) else str(value)


def advice(alarm: dict) -> tuple[Text, Text]:
    """Cause and remedy of an alarm; as the journal has them where its evidence does not fit."""
    told = [str(alarm.get("cause", "")), str(alarm.get("remedy", ""))]
    try:
        evidence = {key: _chinese(value) for key, value in alarm["evidence"].items()}
        chinese = [text.format_map(evidence) for text in ADVICE[str(alarm.get("kind"))]]
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        chinese = told
    cause, remedy = ({"en": en, "zh": zh} for en, zh in zip(told, chinese, strict=True))
    return cause, remedy


def _chinese(value: object) -> object:
    """Evidence that is words, where they are known."""
    if not isinstance(value, str):
        return value
    value = BLAME.sub(WORDS["evidence.blame"]["zh"], value)
    return WORDS.get(f"evidence.{value}", {"zh": value})["zh"]


def name(group: str, value: str) -> Text:
    """The word for a name of the journal, such as an alarm's kind; an unknown one as it is."""
    key = f"{group}.{value}"
    return WORDS[key] if key in WORDS else dict.fromkeys(LANGUAGES, value.replace("_", " "))


def stopped(why: str) -> Text:
    """How a run came to stop: for a person to look, or by a signal."""
    return name("event", f"stop.{why}") if f"event.stop.{why}" in WORDS else name("event", "stop")


def sentence(parts: list[Text]) -> Text:
    """The parts in one line; Chinese needs no space after its full stop."""
    between = {"en": " ", "zh": ""}
    return {lang: between[lang].join(part[lang] for part in parts) for lang in LANGUAGES}


def listed(parts: list[Text]) -> Text:
    """The parts with the comma of each language between them."""
    between = {"en": ", ", "zh": "，"}
    return {lang: between[lang].join(part[lang] for part in parts) for lang in LANGUAGES}


def count(value: float) -> str:
    """12345.0 as 12,345."""
    return f"{value:,.0f}" if math.isfinite(value) else "–"


def loss(value: float) -> str:
    """Nats or bits to three places."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def percent(share: float, places: int = 0) -> str:
    """0.314 as 31 %, with a narrow space that does not break."""
    return f"{100 * share:.{places}f}\u202f%" if math.isfinite(share) else "–"


def change(share: float) -> str:
    """-0.314 as −31.4 %: a relative change with its sign."""
    told = percent(share, 1)
    return told.replace("-", "−") if share < 0 else f"+{told}"


def compact(value: float) -> str:
    """Three digits and a scale: 1,234,567 as 1.23M."""
    if not math.isfinite(value):
        return "–"
    for scale, mark in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= 0.9995 * scale:
            return f"{value / scale:.3g}{mark}" if abs(value) < 999.5 * scale else count(value)
    return f"{value:.3g}"


def number(value: object) -> str:
    """Any value of the journal for a reader: four digits, thousands apart, no JSON."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e15
        large = abs(value) >= 10_000 and math.isfinite(value)
        return f"{value:,.0f}" if large or whole else f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {number(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(number(inner) for inner in value)
    return str(value)


def date(seconds: float) -> str:
    """Day and minute of a unix time in this machine's zone, where a calendar has it."""
    try:
        return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "–"


def path(place: Path) -> str:
    """The path with U+FFFD for bytes that are no UTF-8."""
    return os.fsencode(place).decode("utf-8", "replace")


def duration(seconds: float) -> Text:
    """The two largest units: 11,520 seconds as 3 h 12 min."""
    if not math.isfinite(seconds):
        return dict.fromkeys(LANGUAGES, "–")
    if 0 < seconds < 1:
        return say("unit.milliseconds", n=f"{1000 * seconds:.0f}")
    units = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
    rest = round(max(seconds, 0))
    amounts = {}
    for unit, size in units:
        amounts[unit], rest = divmod(rest, size)
    first = next((i for i, amount in enumerate(amounts.values()) if amount), len(units) - 1)
    shown = [unit for unit, _ in units[first : first + 2] if amounts[unit]] or ["seconds"]
    told = [say(f"unit.{unit}", n=amounts[unit]) for unit in shown]
    return {language: " ".join(part[language] for part in told) for language in LANGUAGES}
