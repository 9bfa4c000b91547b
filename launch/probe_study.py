"""Whole runs after a search for the learning rate, from plans whose rate is right or far off.

    python launch/probe_study.py --output docs/results/probe.json

The runs and the clean ones they are compared with are those of launch/gauntlet.py, which is to be
called first; here the mentor has no reference and no other leave: the rate is found by trials
before the first step, or not at all. Each run is kept when it is done.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.core.journal import read_lines
from launch import gauntlet, gauntlet_plan, gauntlet_table, kept

PLANS = {"rate_tenth": 0.1, "healthy": 1.0, "rate_3x": 3.0, "rate_10x": 10.0, "rate_30x": 30.0}


def run(options, fault: str, seed: int) -> dict:
    """What was tried and chosen, and the excess of its end; None: it did not come to one."""
    clean, static = (
        json.loads(gauntlet.result_file(options, name, "static", seed).read_text())
        for name in ("healthy", fault)
    )
    # Not among the gauntlet's own results, which this policy is no part of.
    own = argparse.Namespace(**vars(options) | {"results": options.work / "probe"})
    print(gauntlet.supervise(own, (fault, "probe", seed)), flush=True)
    ended = json.loads(gauntlet.result_file(own, fault, "probe", seed).read_text())
    chosen = decision(gauntlet.folder(own, fault, "probe", seed))
    scale = chosen["control"].get("lr_scale", [1.0, 1.0])[1]
    return {
        "plan": PLANS[fault], "seed": seed, "chosen": PLANS[fault] * scale,
        "trials": chosen["evidence"], "excess": gauntlet_table.excess(ended, clean),
        "static": gauntlet_table.excess(static, clean),
    }  # fmt: skip


def decision(workdir: pathlib.Path) -> dict:
    """The line of the journal that follows the trials."""
    for line in read_lines(workdir / "journal.jsonl"):
        if line.get("rule") == "probe":
            return line
    raise SystemExit(f"{workdir} has chosen no rate; its own words are in log.txt there.")


def table(runs: list[dict]) -> list[str]:
    """Rates are multiples of the one tuned by hand."""
    lines = ["| planned | seed | chosen | excess without trials | with |", "|---|---|---|---|---|"]
    for one in runs:
        without, with_ = (gauntlet_table.percent(one[name]) for name in ("static", "excess"))
        lines.append(
            f"| {one['plan']:g} | {one['seed']} | {one['chosen']:.2g} | {without} | {with_} |"
        )
    return lines


def main() -> None:
    """Runs what is missing, plan after plan, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    options = gauntlet.parsed(parser)
    gauntlet_plan.store(options.work, options.size)
    runs = kept.read(options.output, [])
    done = {(one["plan"], one["seed"]) for one in runs}
    for seed in range(options.seeds):
        for fault, plan in PLANS.items():
            if (plan, seed) not in done:
                runs.append(run(options, fault, seed))
                kept.write(options.output, runs)
    print("\n".join(table(sorted(runs, key=lambda one: (one["plan"], one["seed"])))))


if __name__ == "__main__":
    main()
