"""The one line that tells a person how the run is doing."""

from aquila_jax.dmu.progress import clock


def progress_line(line: dict, *, total_sequences: int) -> str:
    """From a line of metrics.jsonl."""
    done = line["sequences"] / total_sequences
    losses = " ".join(f"{name} {loss:.3f}" for name, loss in line["language_loss"].items())
    parts = [f"step {line['step']:>6,}  {done:4.0%}", f"loss {line['loss']:.3f} ({losses})"]
    if line.get("tokens_per_second"):
        left = (total_sequences - line["sequences"]) * line["step_seconds"] / line["batch"]
        parts.append(f"{line['tokens_per_second']:,.0f} tokens/s")
        parts += [f"MFU {line['mfu']:.0%}"] if "mfu" in line else []
        parts.append(f"{clock(left)} left")
    if line["skipped"]:
        parts.append("skipped")
    return " | ".join(parts)
