"""What a run came to, in words and as summary.json."""

from aquila_jax.core.journal import read_lines
from aquila_jax.dmu.progress import clock
from aquila_jax.model.config import parameters
from aquila_jax.train.run import Run


def summarise(run: Run) -> dict:
    """From the run's own files; also what goes on from a checkpoint has the whole story."""
    folder = run.folder.path
    lines, journal = read_lines(folder / "evaluations.jsonl"), read_lines(folder / "journal.jsonl")
    metrics = read_lines(folder / "metrics.jsonl")
    speeds = sorted(line["tokens_per_second"] for line in metrics if "tokens_per_second" in line)
    return {
        "name": run.config.name,
        "parameters": parameters(run.config.model),
        "steps": run.host.step,
        "tokens": run.host.targets,
        "seconds": sum(line.get("step_seconds", 0.0) for line in metrics),
        "tokens_per_second": speeds[len(speeds) // 2] if speeds else None,
        "loss": metrics[-1]["loss"] if metrics else None,
        "first": {line["kind"]: line for line in reversed(lines)},
        "last": {line["kind"]: line for line in lines},
        "alarms": sum(line["kind"] == "alarm" for line in journal),
        "decisions": sum(line["kind"] == "decision" for line in journal),
        "mode": run.config.mentor.mode,
    }


def in_words(summary: dict) -> list[str]:
    """Lines for a person."""
    lines = [
        "",
        f"{summary['name']}: {summary['parameters'] / 1e6:.1f} M parameters learned from "
        f"{summary['tokens'] / 1e6:.2f} M tokens in {summary['steps']:,} steps "
        f"({clock(summary['seconds'])} of training).",
    ]
    if "heldout" in summary["last"]:
        lines += ["", "  held-out text, bits per byte (lower is better)   before    after"]
        first, last = summary["first"]["heldout"], summary["last"]["heldout"]
        for group in ("domains", "languages"):
            for name in last[group]:
                after = last[group][name]["bits_per_byte"]
                label = name if group == "domains" else f"language {name}"
                known = first[group].get(name)  # unless the domain joined on the way
                before = f"{known['bits_per_byte']:>8.3f}" if known else " " * 8
                lines.append(f"    {label:<46}{before} {after:>8.3f}")
    if "questions" in summary["last"]:
        first, last = summary["first"]["questions"], summary["last"]["questions"]
        lines += ["", "  questions answered right (higher is better)     before    after"]
        for name, after in last["accuracy"].items():
            lines.append(f"    {name:<46}{first['accuracy'][name]:>8.1%} {after:>8.1%}")
        lines.append(f"    by chance: {last['chance']:.1%}")
    did = {"act": "took", "shadow": "would have taken", "off": "took"}[summary["mode"]]
    alarms, decisions = summary["alarms"], summary["decisions"]
    lines += ["", f"  the mentor raised {alarms} alarms and {did} {decisions} decisions", ""]
    return lines
