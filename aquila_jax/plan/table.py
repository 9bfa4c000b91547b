"""Plans in words: a table for the terminal and for Markdown, and a few lines for each plan."""

from collections.abc import Sequence

from aquila_jax.plan import chips
from aquila_jax.plan.candidates import Candidate
from aquila_jax.plan.chips import GIB

COLUMNS = ("config", "topology", "chips", "fits", "GiB a device", "layout", "bound", "step s",
           "of peak", "tokens a day", "days", "cost", "compiled in")  # fmt: skip

BOUNDS = ("step", "serial")


def markdown(plans: Sequence[dict]) -> str:
    """The table, its columns aligned, so that it reads well unrendered too."""
    table = [COLUMNS, *map(_row, plans)]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    lines = [_line(row, widths) for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def details(plan: dict) -> list[str]:
    """Memory by kind and collectives of one plan."""
    slice_ = chips.find(plan["topology"])
    lines = [
        f"{plan['config']} on {plan['topology']} ({slice_.slices} x {slice_.layout} to libtpu)"
    ]
    if not plan["fits"]:
        return [*lines, f"  {plan['advice']}"]
    kinds = ("parameters", "optimizer", "batch", "temporaries", "program")
    memory = ", ".join(f"{kind} {plan[kind] / GIB:.2f}" for kind in kinds)
    lines.append(f"  GiB a device: {memory}; {plan['needed'] / GIB:.2f} of {_available(plan):.2f}")
    if plan.get("offloaded"):
        lines.append(
            f"  GiB in the host's memory for a device, each way in a step: {plan['offloaded'] / GIB:.2f} "
            "(not in the seconds below)"
        )
    seconds = ", ".join(
        f"{kind} {s:.3f}" for kind, s in plan["seconds"].items() if kind not in BOUNDS
    )
    lines.append(f"  seconds a step, each for itself: {seconds}")
    for row in plan["collectives"]:
        lines.append(
            f"  {row['kind']} over {row['axes']}: {row['count']:,.0f} times, "
            f"{row['bytes'] / GIB:.2f} GiB into each device"
        )
    lines.append(f"  for train: {Candidate(**plan['layout']).settings()}")
    return lines


def _row(plan: dict) -> tuple[str, ...]:
    slice_ = chips.find(plan["topology"])
    layout = Candidate(**plan["layout"]).in_words()
    memory = f"{plan['needed'] / GIB:.1f} of {_available(plan):.1f}"
    head = (plan["config"], plan["topology"], str(slice_.chips), "yes" if plan["fits"] else "NO")
    compiled = f"{plan['compile_seconds']:.0f} s"
    if not plan["fits"]:
        return (*head, memory, layout, *["-"] * 6, compiled)
    spent = f"{plan['cost']:,.0f}" if "cost" in plan else "-"
    return (
        *head, memory, layout, plan["bound"], _span(plan["seconds"], "step", "serial", ".2f"),
        _span(plan, "utilisation_serial", "utilisation", ".0%"),
        f"{plan['tokens_per_day'] / 1e9:.1f} B", f"{plan['days']:.0f}", spent, compiled,
    )  # fmt: skip


def _span(plan: dict, least: str, most: str, digits: str) -> str:
    return f"{plan[least]:{digits}}-{plan[most]:{digits}}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"


def _available(plan: dict) -> float:
    return plan["available"] / GIB
