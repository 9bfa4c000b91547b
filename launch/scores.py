"""Simpler forecasts to compare with, and what is counted about all of them."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from aquila_jax.tsm import fit, forecast, law, points

# Multi-Power Law (arXiv 2503.12811) in units of the peak rate: the mean of its published fits to
# 25M, 100M and 400M. On those curves this is in-sample, in its favour.
KERNEL_SCALE, KERNEL_EXPONENT, KERNEL_RATE = 0.116, 0.59, 0.645
FREE = fit.Prior(exponent=0.46, exponent_width=10.0, drop=0.15, drop_width=20.0)
NAIVE = ("power law in step", "power law in sum of rate", "last value")
OURS = "law, proxy prior"
DECAYED = 0.3  # of a full anneal: from here on a run tells what a decay is worth
CORNERS = 512  # into how many pieces a schedule is cut for that law


def steps(plan: law.Plan) -> np.ndarray:
    """Progress in thousands of steps."""
    return np.arange(1, plan.steps + 1) / 1e3


def area(plan: law.Plan) -> np.ndarray:
    """Progress in thousands of steps at the peak rate: the published S1."""
    return law.coordinates(plan, law.memory(plan.steps), power=1.0).progress


def baselines(
    seen: points.Observed, plan: law.Plan, multi_power_prior: fit.Prior
) -> dict[str, float]:
    """The final loss as simpler methods and the other law would have it."""
    where = law.coordinates(plan, law.memory(plan.steps))
    free = _final(seen, plan, where=(where.progress, where.annealing), prior=FREE)
    return {
        "law, no prior": free,
        "multi-power law, proxy prior": multi_power(seen, plan, multi_power_prior),
        "power law in step": power_law(seen, plan, steps),
        "power law in sum of rate": power_law(seen, plan, area),
        "last value": float(seen.loss[-1]),
    }


def power_law(
    seen: points.Observed, plan: law.Plan, progress: Callable[[law.Plan], np.ndarray]
) -> float:
    """The final loss by floor + scale * progress^-exponent, all three free."""
    return _final(seen, plan, where=(progress(plan), np.zeros(plan.steps)), prior=FREE)


def multi_power(seen: points.Observed, plan: law.Plan, prior: fit.Prior) -> float:
    """The final loss by the Multi-Power Law's shape."""
    return _final(seen, plan, where=(area(plan), multi_power_annealing(plan)), prior=prior)


def multi_power_parameters(seen: points.Observed, plan: law.Plan) -> law.Parameters | None:
    """What that shape is worth over a whole run, for the prior of others; None without a decay."""
    where = area(plan), multi_power_annealing(plan)
    found = forecast.fitted(seen, plan, *where, prior=FREE)
    return found.best if found is not None and where[1][-1] > DECAYED else None


def multi_power_annealing(plan: law.Plan) -> np.ndarray:
    """LD(t) / B = sum_k (eta_{k-1} - eta_k) (1 - (1 + c eta_k^-gamma S_k(t))^-beta), [T]."""
    where = law.coordinates(plan, law.memory(plan.steps), power=1.0)
    corners = np.unique(np.linspace(plan.warmup, plan.steps - 1, CORNERS).astype(int))
    rate = np.maximum(where.temperature[corners], 1e-9)
    fall = rate[:-1] - rate[1:]
    since = 1e3 * (where.progress[corners, None] - where.progress[corners[1:]])
    kernel = 1 + KERNEL_SCALE * rate[1:] ** -KERNEL_RATE * np.maximum(since, 0)
    return np.interp(np.arange(plan.steps), corners, (1 - kernel**-KERNEL_EXPONENT) @ fall, left=0)


def _final(
    seen: points.Observed,
    plan: law.Plan,
    *,
    where: tuple[np.ndarray, np.ndarray],
    prior: fit.Prior,
) -> float:
    """By the same points and the same fit as the product's; NaN where no falling curve fits."""
    found = forecast.fitted(seen, plan, *where, prior=prior)
    if found is None:
        return float("nan")
    progress, annealing = where
    return float(fit.predict(found, progress[-1:], annealing[-1:])[0][0])


def summary(records: list[dict]) -> list[dict]:
    """One row for each origin: errors of each method, and how the band did."""
    if not records:
        raise ValueError("no run gave a forecast: all are too short, or none is to be reported.")
    origins = sorted({record["origin"] for record in records})
    return [_row(origin, [r for r in records if r["origin"] == origin]) for origin in origins]


def _row(origin: float, records: list[dict]) -> dict:
    ours = np.array([r["errors"][OURS] for r in records])
    truth = np.array([r["truth"] for r in records])
    remaining = np.array([r["remaining"] for r in records])
    curve = [r["curve_error"] for r in records if r["curve_error"] is not None]
    errors = {name: _spread(records, name) for name in records[0]["errors"]}
    best = min(errors[name]["mean"] for name in NAIVE)
    bands = [(r["truth"], *r["bands"]["proxy"]) for r in records if "proxy" in r["bands"]]
    return {
        "origin": origin,
        "runs": len(records),
        "errors": errors,
        "skill": 1 - errors[OURS]["mean"] / best,
        "bias": float(ours.mean()),
        "relative_median": float(np.median(np.abs(ours) / truth)),
        "share_of_remaining_median": float(np.median(np.abs(ours / remaining))),
        "curve_error": float(np.mean(curve)) if curve else None,
        "coverage": {
            "proxy": _coverage(bands),
            "proxy, nominal 50 %": _coverage(
                [(r["truth"], *r["half_band"]) for r in records if r["half_band"]]
            ),
            "default": _coverage(
                [(r["truth"], *r["bands"]["default"]) for r in records if "default" in r["bands"]]
            ),
        },
        "width": float(np.mean([high - low for _, low, high in bands])) if bands else None,
        "crps": float(np.mean([_crps(*b) for b in bands])) if bands else None,
        "calibrated_on": min(r["calibrated_on"] for r in records),
    }


def _coverage(bands: list[tuple[float, float, float]]) -> float | None:
    return float(np.mean([low <= truth <= high for truth, low, high in bands])) if bands else None


def _crps(truth: float, low: float, high: float) -> float:
    """Continuous ranked probability score of the normal distribution with that 90 % band, nats."""
    normal = NormalDist()
    deviation = (high - low) / 2 / normal.inv_cdf(0.95)
    z = (truth - (low + high) / 2) / deviation
    return deviation * (z * (2 * normal.cdf(z) - 1) + 2 * normal.pdf(z) - np.pi**-0.5)


def _spread(records: list[dict], name: str) -> dict[str, float]:
    errors = np.abs([record["errors"][name] for record in records])
    found = errors[np.isfinite(errors)]
    mean, median, worst = np.mean(found), np.median(found), np.max(found)
    return {
        "mean": float(mean),
        "median": float(median),
        "p90": float(np.quantile(found, 0.9)),
        "worst": float(worst),
        "failed": int(len(errors) - len(found)),
    }


def markdown(rows: list[dict], records: list[dict]) -> str:
    """The tables for `docs/results.md`: errors of each method, the band, the worst forecasts."""
    heads = ["forecast", *(f"{row['origin']:.0%} (n={row['runs']})" for row in rows)]
    errors = [[name, *(_cell(row["errors"][name]) for row in rows)] for name in rows[0]["errors"]]
    bands = [_band(row) for row in rows]
    worst = sorted(records, key=lambda r: -abs(r["errors"][OURS]))[:5]
    told = "; ".join(f"{r['run']} at {r['origin']:.0%} {r['errors'][OURS]:+.4f}" for r in worst)
    return "\n".join(
        [
            "Absolute error of the final loss in nats: mean / median / 90th percentile",
            "",
            *_table(heads, errors),
            "",
            "The law with a prior from other runs",
            "",
            *_table(list(bands[0]), [list(band.values()) for band in bands]),
            "",
            f"Worst forecasts: {told}",
        ]
    )


def _band(row: dict) -> dict[str, str]:
    values = {
        "skill": row["skill"],
        "bias": row["bias"],
        "median relative error": row["relative_median"],
        "median share of what remained": row["share_of_remaining_median"],
        "rest of the curve": row["curve_error"],
        "90 % band covers": row["coverage"]["proxy"],
        "50 % band covers": row["coverage"]["proxy, nominal 50 %"],
        "default prior's 90 % band covers": row["coverage"]["default"],
        "mean width": row["width"],
        "CRPS": row["crps"],
        "calibrated on": row["calibrated_on"],
    }
    shown = {name: "-" if value is None else f"{value:.3g}" for name, value in values.items()}
    return {"made at": f"{row['origin']:.0%}", **shown}


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cell(spread: dict[str, float]) -> str:
    failed = f" ({spread['failed']} failed)" if spread["failed"] else ""
    return f"{spread['mean']:.4f} / {spread['median']:.4f} / {spread['p90']:.4f}{failed}"
