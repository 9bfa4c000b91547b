"""Whole runs after a search for the learning rate, from plans whose rate is right or far off.

    python launch/probe_study.py --output docs/results/probe.json

The runs and the clean ones they are compared with are those of launch/gauntlet.py, which is to be
called first; here the mentor has no reference and no other leave: the rate is found by trials
before the first step, or not at all. Each run is kept when it is done.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.config import Config  # noqa: E402
from aquila_jax.core.journal import read_lines  # noqa: E402
from launch import gauntlet  # noqa: E402

PLANS = {"rate_tenth": 0.1, "healthy": 1.0, "rate_3x": 3.0, "rate_10x": 10.0, "rate_30x": 30.0}
TRIAL = 0.0625  # of the run, for each rate: 32 steps of 512


def settings(options, fault: str, seed: int) -> Config:
    """That of the gauntlet, with trials instead of a reference."""
    config = gauntlet.settings(options, fault, "aquila", seed)
    mentor = dataclasses.replace(config.mentor, reference_ratio=(), may=(), probe=TRIAL)
    return dataclasses.replace(config, name=f"probe-{fault}-{seed}", mentor=mentor)


def run(options, fault: str, seed: int) -> dict:
    """In a process of its own; what was tried, what was chosen, and where the run ended."""
    workdir = options.work / "probe" / f"{fault}-{seed}"
    command = [sys.executable, __file__, "--work", str(options.work), "--one", fault, str(seed)]
    flags = f"{os.environ.get('XLA_FLAGS', '')} {gauntlet.ONE_CORE}".strip()
    subprocess.run(command, check=True, env=os.environ | {"XLA_FLAGS": flags})
    chosen = next(x for x in read_lines(workdir / "journal.jsonl") if x.get("rule") == "probe")
    ends = [x for x in read_lines(workdir / "evaluations.jsonl") if x["kind"] == "heldout"]
    scale = chosen["control"].get("lr_scale", [1.0, 1.0])[1]
    return {
        "plan": PLANS[fault], "seed": seed, "chosen": PLANS[fault] * scale,
        "trials": chosen["evidence"], "excess": mean(ends[-1]) / clean(options, seed) - 1,
        "static": without(options, fault, seed),
    }  # fmt: skip


def mean(evaluation: dict) -> float:
    """Nats a token, each domain alike."""
    nats = [domain["nats_per_token"] for domain in evaluation["domains"].values()]
    return sum(nats) / len(nats)


def clean(options, seed: int) -> float:
    """Where the run with the right rate ends under nobody's care."""
    return json.loads(gauntlet.result_file(options, "healthy", "static", seed).read_text())["final"]


def without(options, fault: str, seed: int) -> float:
    """The excess of the same plan under nobody's care."""
    told = gauntlet.result_file(options, fault, "static", seed).read_text()
    return json.loads(told)["final"] / clean(options, seed) - 1


def table(runs: list[dict]) -> list[str]:
    """Rates are multiples of the one tuned by hand."""
    lines = ["| planned | seed | chosen | excess without trials | with |", "|---|---|---|---|---|"]
    return lines + [
        f"| {r['plan']:g} | {r['seed']} | {r['chosen']:.2g} | {r['static']:+.2%} | {r['excess']:+.2%} |"
        for r in runs
    ]


def main() -> None:
    """Runs what is missing, plan after plan, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=pathlib.Path, default=gauntlet.ROOT / "runs" / "gauntlet")
    parser.add_argument("--results", type=pathlib.Path,
                        default=gauntlet.ROOT / "docs/results/gauntlet")  # fmt: skip
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=2**19)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        from aquila_jax.train.loop import train  # noqa: PLC0415

        fault, seed = options.one[0], int(options.one[1])
        workdir = options.work / "probe" / f"{fault}-{seed}"
        workdir.mkdir(parents=True, exist_ok=True)
        train(settings(options, fault, seed), workdir)
        return
    runs = json.loads(options.output.read_text()) if options.output.exists() else []
    done = {(r["plan"], r["seed"]) for r in runs}
    for seed in range(options.seeds):
        for fault, plan in PLANS.items():
            if (plan, seed) not in done:
                runs.append(run(options, fault, seed))
                options.output.write_text(json.dumps(runs, indent=1) + "\n")
    print("\n".join(table(sorted(runs, key=lambda r: (r["plan"], r["seed"])))))


if __name__ == "__main__":
    main()
