"""The results of the gauntlet as one JSON file and one table in Markdown."""

import json
import pathlib
import statistics

from launch import gauntlet_result, kept

NEAR = 0.01  # of the clean run's final loss


def write(results: pathlib.Path, *, clean: str) -> None:
    """`results`: one file a run; beside that folder go its name .json and .md."""
    runs = [json.loads(file.read_text()) for file in sorted(results.glob("*.json"))]
    base = {run["seed"]: run for run in runs if run["fault"] == clean and run["policy"] == "static"}
    for run in runs:
        run["excess"] = excess(run, base.get(run["seed"]))
    rows = [summary(runs, *key) for key in dict.fromkeys((r["fault"], r["policy"]) for r in runs)]
    kept.write(results.with_suffix(".json"), {"rows": rows, "runs": runs})
    results.with_suffix(".md").write_text("\n".join(table(rows)) + "\n")


def excess(run: dict, clean: dict | None) -> float | None:
    """How much higher the final held-out loss is than that of the clean run of the same seed."""
    if clean is None or None in (run["final"], clean["final"]):
        return None
    names = gauntlet_result.counted(run["fault"], run["domains"])
    loss, usual = (statistics.fmean(one["domains"][name] for name in names) for one in (run, clean))
    return loss / usual - 1


def summary(runs: list[dict], fault: str, policy: str) -> dict:
    """All seeds of one fault under one policy."""
    own = [run for run in runs if (run["fault"], run["policy"]) == (fault, policy)]
    ended = [run["excess"] for run in own if run["excess"] is not None]
    seen = [run["detected"]["steps"] for run in own if run["detected"]]
    return {
        "fault": fault, "policy": policy, "runs": len(own),
        "survived": sum(run["outcome"] == "finished" and run["final"] is not None for run in own),
        "called": sum(run["outcome"] == "called" for run in own),
        "near": sum(value <= NEAR for value in ended),
        "excess": statistics.fmean(ended) if ended else None,
        "worst": max(ended, default=None),
        "wasted": statistics.fmean(run["wasted"] / max(run["tokens"], 1) for run in own),
        "detected": len(seen), "steps": statistics.median(seen) if seen else None,
        "decisions": sum(len(run["decisions"]) for run in own),
        "rewinds": sum(run["rewinds"] for run in own),
    }  # fmt: skip


def table(rows: list[dict]) -> list[str]:
    """Excess is of the final held-out loss over the clean run of the same seed."""
    lines = [
        "| fault | policy | survived | within 1 % | excess, mean | worst | tokens wasted | "
        "detected | after steps | decisions | rewinds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        called = f" ({row['called']} called)" if row["called"] else ""
        cells = [
            row["fault"].replace("_", " "), row["policy"],
            f"{row['survived']}/{row['runs']}{called}", f"{row['near']}/{row['runs']}",
            percent(row["excess"]), percent(row["worst"]), f"{row['wasted']:.1%}",
            f"{row['detected']}/{row['runs']}", "" if row["steps"] is None else f"{row['steps']:g}",
            str(row["decisions"]), str(row["rewinds"]),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def percent(value: float | None) -> str:
    """An excess in words."""
    return "lost" if value is None else f"{value:+.2%}"
