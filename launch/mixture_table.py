"""What the runs of the mixture study come to, as a table."""

import statistics
from collections.abc import Iterator, Sequence

from configs.small import LANGUAGES

SWEEP_SEED = 100  # the hand-made mixture is chosen on it, and compared on others


def final(told: dict) -> tuple[float, float]:
    """Mean and worst domain at the end, bits per byte."""
    return _mean_and_worst(told["curve"][-1])


def _mean_and_worst(point: dict) -> tuple[float, float]:
    values = [point[name] for name in LANGUAGES]
    return statistics.fmean(values), max(values)


def tokens_to(curve: list[dict], worst: float) -> float | None:
    """Tokens until no domain is above `worst`, between two evaluations in a straight line."""
    before = None
    for point in curve:
        here = _mean_and_worst(point)[1]
        if here <= worst:
            if before is None or before[1] <= here:
                return float(point["tokens"])
            part = (before[1] - worst) / (before[1] - here)
            return before[0] + part * (point["tokens"] - before[0])
        before = (point["tokens"], here)
    return None


def table(runs: dict, conditions: Sequence[str]) -> Iterator[str]:
    """Mean over seeds and their standard deviation, as Markdown."""
    yield "| condition | arm | seeds | mean, bits per byte | worst domain | tokens to natural's worst |"
    yield "|---|---|---|---|---|---|"
    for condition in conditions:
        keys = [name.split("/")[1:] for name in runs if name.startswith(f"{condition}/")]
        for arm in sorted({arm for arm, _ in keys}):
            found = sorted(int(seed) for other, seed in keys if other == arm)
            seeds = [seed for seed in found if seed != SWEEP_SEED]
            told = [runs[f"{condition}/{arm}/{seed}"] for seed in seeds]
            if not told:
                continue
            means, worsts = zip(*map(final, told), strict=True)
            naturals = [runs.get(f"{condition}/natural/{seed}") for seed in seeds]
            pairs = zip(told, naturals, strict=True)
            reached = [tokens_to(one["curve"], final(other)[1]) for one, other in pairs if other]
            yield (
                f"| {condition} | {arm} | {len(told)} | {_spread(means)} | {_spread(worsts)} | "
                f"{_reached(reached)} |"
            )


def _spread(values: tuple[float, ...]) -> str:
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{deviation}"


def _reached(tokens: list[float | None]) -> str:
    if not tokens or None in tokens:
        return f"never in {sum(one is None for one in tokens)} of {len(tokens)}" if tokens else "–"
    return f"{statistics.fmean(tokens) / 1e6:.2f} M"
