"""The best layout for a slice: sketched by the hundred, the promising few compiled."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from aquila_jax.config import Config
from aquila_jax.plan import cache, child, sketch, topology
from aquila_jax.plan.candidates import Candidate, as_configured, candidates
from aquila_jax.plan.chips import GIB, Slice
from aquila_jax.plan.compile import Lower, advice, judge
from aquila_jax.plan.roofline import Times

FILL = 0.92  # of the memory; a sketch that takes more is not worth compiling
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """How to search, and where results are kept."""

    lower: Lower
    folder: Path
    tries: int = 3  # compilations for a slice
    say: Say = print
    as_is: bool = False  # judge the configuration's own layout and no other


class Sketch(NamedTuple):
    """A layout and what is guessed of it."""

    candidate: Candidate
    times: Times
    memory: float


def best(config: Config, slice_: Slice, search: Search) -> dict:
    """The report of the best layout found that fits, or of the one that misses by least.

    The layout with the shortest sketched step is compiled first. What the compiler says of its
    memory corrects the sketches of the others. The search ends where no sketch promises a
    shorter step than one compiled.
    """
    pending, judged, correction = sketches(config, slice_, search), [], 1.0
    while pending and len(judged) < search.tries:
        chosen = promising(pending, slice_.chip.memory / correction)
        if enough(judged, chosen):
            break
        pending.remove(chosen)
        judged.append(report_of(config, chosen.candidate, slice_, search))
        correction = judged[-1]["needed"] / chosen.memory
    fitting = [report for report in judged if report["fits"]]
    if fitting:
        best_ = min(fitting, key=rank)
    else:
        best_ = min(judged, key=lambda report: report["needed"])
    tried = [{key: report.get(key) for key in ("layout", "fits", "needed")} for report in judged]
    return best_ | {"config": config.name, "tried": tried}


def sketches(config: Config, slice_: Slice, search: Search) -> list[Sketch]:
    """All layouts, the most promising first."""
    if search.as_is:
        found = [as_configured(config, slice_.devices)]
    else:
        found = candidates(config, slice_.devices, slices=slice_.slices)
    sketched = [Sketch(c, sketch.times(config, c, slice_), sketch.memory(config, c)) for c in found]
    search.say(f"{config.name} on {slice_.name}: {len(found)} layouts")
    return sorted(sketched, key=lambda sketched: sketched.times.rank)


def promising(pending: Sequence[Sketch], room: float) -> Sketch:
    """The first that should fit into `room`, else the smallest."""
    fitting = (sketched for sketched in pending if sketched.memory <= FILL * room)
    return next(fitting, min(pending, key=lambda sketched: sketched.memory))


def enough(judged: Sequence[dict], chosen: Sketch) -> bool:
    """Whether compiling `chosen`, too, could not change the answer."""
    ranks = [rank(report) for report in judged if report["fits"]]
    if ranks:
        return min(ranks) <= chosen.times.rank
    return any(report["sketched"] <= chosen.memory for report in judged)


def rank(report: dict) -> float:
    """`Times.rank` of a compiled layout."""
    return (report["seconds"]["step"] + report["seconds"]["serial"]) / 2


def report_of(config: Config, candidate: Candidate, slice_: Slice, search: Search) -> dict:
    """From the folder if it was compiled before, else from the compiler."""
    key = f"{cache.fingerprint(config, candidate)}-{slice_.name}"
    report = cache.read(search.folder, key)
    if report is None:
        search.say(f"  compiling {candidate.in_words()}")
        report = compiled(config, candidate, slice_, search)
        if not report["fits"]:
            report["advice"] = advice(config, candidate, report)
        report["sketched"] = sketch.memory(config, candidate)
        report["versions"] = cache.versions()
        cache.write(search.folder, key, report)
    else:
        search.say(f"  known: {candidate.in_words()}")
    search.say(f"  {verdict(report)}")
    return report


def compiled(
    config: Config,
    candidate: Candidate,
    slice_: Slice,
    search: Search,
    *,
    save: Path | None = None,
) -> dict:
    """What the compiler says, in a process of its own; the program itself goes to `save`."""
    topology.require()
    named = {"lower": search.lower, "save": save}
    return child.call(judge, config, candidate, slice_, say=search.say, **named)


def verdict(report: dict) -> str:
    """One line: does it fit, and what follows."""
    needed, available = report["needed"] / GIB, report["available"] / GIB
    seconds = f"({report['compile_seconds']:.0f} s)"
    if not report["fits"]:
        return f"does not fit: {report['advice']} {seconds}"
    return (
        f"fits: {needed:.1f} of {available:.1f} GiB, at best {report['seconds']['step']:.2f} s a "
        f"step ({report['seconds']['serial']:.2f} if nothing overlaps), bound by "
        f"{report['bound']} {seconds}"
    )
