"""What a run of the gauntlet came to, from its own files."""

import math
import pathlib
import statistics
from collections.abc import Iterable

from aquila_jax.core.journal import read_lines

NEAR = 30  # steps between two signs that count as the same


def measure(workdir: pathlib.Path, fault: str, *, last: int) -> dict:
    """How it ended at its `last` step, who said what, and what was wasted."""
    metrics, journal, events, evaluations = (
        read_lines(workdir / f"{name}.jsonl")
        for name in ("metrics", "journal", "events", "evaluations")
    )
    nats, rewinds = ending(evaluations, last), _of_kind(journal, "rewind")
    return {
        "final": final(fault, nats), "domains": nats, "signs": signs(metrics, journal, events),
        "decisions": [[x["step"], x["rule"], x["control"]] for x in _of_kind(journal, "decision")],
        "verdicts": [[x["rule"], x["verdict"]] for x in _of_kind(journal, "verify")],
        "blamed": [x["evidence"]["verdict"] for x in rewinds if x["evidence"]],
        "rewinds": len(rewinds), "skipped": sum(bool(x["skipped"]) for x in metrics),
        "tokens": metrics[-1]["tokens"] if metrics else 0, "wasted": wasted(metrics, rewinds),
    }  # fmt: skip


def _of_kind(lines: list[dict], kind: str) -> list[dict]:
    return [line for line in lines if line["kind"] == kind]


def ending(evaluations: list[dict], last: int) -> dict[str, float]:
    """Held-out nats a token of each domain after the last step; empty if it was not reached."""
    ends = [line for line in _of_kind(evaluations, "heldout") if line["step"] == last]
    return {k: v["nats_per_token"] for k, v in ends[-1]["domains"].items()} if ends else {}


def final(fault: str, nats: dict[str, float]) -> float | None:
    """Their mean; None where there is none, or it is no number."""
    mean = statistics.fmean(nats[name] for name in counted(fault, nats)) if nats else math.nan
    return mean if math.isfinite(mean) else None


def counted(fault: str, domains: Iterable[str]) -> list[str]:
    """The domains by which a run is judged: not the first if the fault made garbage of it."""
    return list(domains)[1 if fault == "garbage_domain" else 0 :]


def wasted(metrics: list[dict], rewinds: list[dict]) -> float:
    """Tokens that were read and then given up, by going back or by skipping their step."""
    course = {line["step"]: line for line in metrics}  # a later time line takes a step's place
    skipped = sum(x["skipped"] * sum(x["domain_tokens"].values()) for x in course.values())
    return max((x["wasted"] for x in rewinds), default=0) + skipped


def signs(metrics: list[dict], journal: list[dict], events: list[dict]) -> list[list]:
    """Every step and way in which anybody said that something was wrong."""
    found = [[x["step"], x["alarm"]["kind"]] for x in _of_kind(journal, "alarm")]
    found += [[x["step"], f"decided {x['rule']}"] for x in _of_kind(journal, "decision")]
    found += [[x["step"], "skipped"] for x in metrics if x["skipped"]]
    found += [[x["step"] + 1, "stalled"] for x in _of_kind(events, "stall")]
    return sorted(found)


def detected(seen: list[list], usual: list[list], step: int | None) -> dict | None:
    """The first sign from the fault's step on that the clean run did not give there, too."""
    if step is None:
        return None
    for at, sign in seen:
        clean = any(sign == other and abs(at - when) <= NEAR for when, other in usual)
        if at >= step and not clean:
            return {"steps": at - step, "sign": sign}
    return None
