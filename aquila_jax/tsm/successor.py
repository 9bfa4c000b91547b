"""A successor that does not surpass its predecessor raises an alarm, whatever its loss says.

After arXiv 2408.07410, where a loss that fell by a change of mixture was no better model. The
same questions are put to both models, so only those count that one answers and the other does not.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scipy.special import bdtrc

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms

LEVEL = 0.05  # chance of a false verdict on one predecessor, over all looks and subjects
FALL = 0.02  # of the held-out bits per byte; for less nobody expects better answers
FEWEST = 20  # questions; of fewer, not even all together could tell
ABOVE_CHANCE = 3.0  # deviations; questions that nobody can answer yet tell models not apart


class SuccessorState(NamedTuple):
    """Of each subject (file/language) the last model that was surely better than those before it."""

    predecessors: dict[str, list]  # step, held-out bits per byte, answers ("0110...")
    looks: dict[str, int]  # successors compared with it so far
    raised: dict[str, int]  # alarm -> step at which it was told last


def start() -> SuccessorState:
    """No model seen yet."""
    return SuccessorState({}, {}, {})


def observe(
    state: SuccessorState, evaluation: Sequence[Mapping]
) -> tuple[SuccessorState, tuple[Alarm, ...]]:
    """The lines of one evaluation, as in evaluations.jsonl."""
    held_out = next((line for line in evaluation if line["kind"] == "heldout"), None)
    asked = [line for line in evaluation if line["kind"] == "questions"]
    subjects = sum(len(line.get("right", {})) for line in asked)
    found = ()
    for line in asked:
        for language, right in line.get("right", {}).items():
            now = [line["step"], _bits(held_out, language), right]
            subject = f"{line['file']}/{language}"
            state, raised = _compare(state, subject, now, chance=line["chance"], subjects=subjects)
            found += raised
    told, found = alarms.fresh(state.raised, found)
    return state._replace(raised=told), found


def odds(before: str, after: str) -> tuple[int, int, float, float]:
    """Answers gained and lost, and the chance of so many of each if nothing had changed.

    One-sided exact McNemar tests: of the answers that changed, half should be gains.
    """
    pairs = list(zip(before, after, strict=True))
    gained, lost = pairs.count(("0", "1")), pairs.count(("1", "0"))
    changed = gained + lost
    rise, fall = (float(bdtrc(n - 1, changed, 0.5)) if n else 1.0 for n in (gained, lost))
    return gained, lost, rise, fall


def _compare(state, subject, now, *, chance, subjects):
    """One subject of a successor; the level shrinks with each look, as 1 / k^2, to add up to `LEVEL`."""
    step, bits, right = now
    before = state.predecessors.get(subject)
    if len(right) < FEWEST:
        return state, ()
    if before is None or len(before[2]) != len(right):
        return _succeed(state, subject, now), ()
    look = state.looks[subject] + 1
    level = LEVEL / subjects * 6 / (math.pi * look) ** 2
    gained, lost, rise, fall = odds(before[2], right)
    if rise < level:
        return _succeed(state, subject, now), ()
    state = state._replace(looks=state.looks | {subject: look})
    told = {
        "subject": subject, "items": len(right), "gained": gained, "lost": lost, "looks": look,
        "before": before[2].count("1") / len(right), "after": right.count("1") / len(right),
        "predecessor": before[0], "bits_before": before[1], "bits_after": bits,
    }  # fmt: skip
    if fall < level:
        sure = 1 - fall / level * LEVEL
        return state, (alarms.make("worse", step, confidence=sure, p=fall, **told),)
    known = max(told["before"], told["after"]) > _sure_of_chance(chance, len(right))
    if known and None not in (bits, before[1]) and bits < (1 - FALL) * before[1]:
        sure = 1 - LEVEL
        return state, (alarms.make("no_better", step, confidence=sure, p=rise, **told),)
    return state, ()


def _succeed(state, subject, now):
    return state._replace(
        predecessors=state.predecessors | {subject: now}, looks=state.looks | {subject: 0}
    )


def _bits(held_out: Mapping | None, language: str) -> float | None:
    """Held-out bits per byte of the language, or of all where it has none of its own."""
    if held_out is None:
        return None
    return held_out["languages"].get(language, held_out["mean"])["bits_per_byte"]


def _sure_of_chance(chance: float, items: int) -> float:
    return chance + ABOVE_CHANCE * math.sqrt(chance * (1 - chance) / items)
