"""What the mentor makes of a plan whose decay is too short, on the runs of runs_study.py.

    python launch/decay_study.py --work build/runs --output docs/results/decay.json

Each run with a planned decay of 10 %, once more with leave to begin it earlier, beside the run as
it was planned and its twin with 20 %. Goes on where it stands; about 70 CPU seconds a run.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.config import Config, build, plain
from aquila_jax.core.journal import read_lines
from launch import kept, recorded, runs_study

SIZE = "small"


def decided(work: pathlib.Path, mixture: str, seed: int) -> list[list]:
    """Makes the run with leave, if it is missing; what the mentor decided in it."""
    store, folder = str(work / "store"), work / "decay" / f"{mixture}-{seed}"
    changed = plain(runs_study.config_of(store, "wsd10", SIZE, mixture=mixture, seed=seed))
    changed["mentor"] |= {"mode": "act", "may": ["decay"]}
    print(
        f"{folder.name}: {runs_study.make(build(Config, changed, 'config'), folder):.0f} s",
        flush=True,
    )
    lines = [x for x in read_lines(folder / "journal.jsonl") if x["kind"] == "decision"]
    return [[x["step"], x["rule"], x["control"], x["evidence"]] for x in lines]


def ends(folder: pathlib.Path) -> dict[str, float]:
    """Where each run below a folder ended, in nats."""
    return {run.name: run.final for run in recorded.read_workdirs(folder)}


def main() -> None:
    """Makes the runs that are missing, and prints what each came to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=pathlib.Path, required=True, help="that of runs_study.py")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    given = parser.parse_args()
    pairs = [(m, seed) for seed in runs_study.SEEDS[SIZE] for m in runs_study.MIXTURES]
    decisions = {pair: decided(given.work, *pair) for pair in pairs}
    names = {one: name for name, one in runs_study.runs().items()}
    planned, mended = ends(given.work / "runs"), ends(given.work / "decay")
    told = [
        {
            "mixture": mixture, "seed": seed, "mentor": mended[f"{mixture}-{seed}"],
            "planned 10 %": planned[names["wsd10", SIZE, mixture, seed]],
            "planned 20 %": planned[names["wsd20", SIZE, mixture, seed]],
            "decisions": decisions[mixture, seed],
        }
        for mixture, seed in pairs
    ]  # fmt: skip
    kept.write(given.output, told)
    for one in told:
        print({key: value for key, value in one.items() if key != "decisions"})


if __name__ == "__main__":
    main()
