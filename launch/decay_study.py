"""What the mentor makes of a plan whose decay is too short, on the runs of runs_study.py.

    python launch/decay_study.py --work build/runs --output docs/results/decay.json

Each run with a planned decay of 10 %, once more with leave to begin it earlier, beside the run as
it was planned and its twin with 20 %. Goes on where it stands; about 70 CPU seconds a run.
"""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.config import Config, build, plain
from aquila_jax.core.journal import read_lines
from launch import kept, runs_study

SIZE, FINAL = "small", 0.02  # of a run: its training loss is averaged over, to know where it ended


def compared(work: pathlib.Path, mixture: str, seed: int) -> dict:
    """Where the three runs of a mixture and seed ended, in nats, and what the mentor decided."""
    store = str(work / "store")
    config = runs_study.config_of(store, "wsd10", SIZE, mixture=mixture, seed=seed)
    changed = plain(config)
    changed["mentor"] |= {"mode": "act", "may": ["decay"]}
    folder = work / "decay" / f"{mixture}-{seed}"
    runs_study.make(build(Config, changed, "config"), folder)
    decided = [x for x in read_lines(folder / "journal.jsonl") if x["kind"] == "decision"]
    return {
        "mixture": mixture, "seed": seed, "mentor": ended(folder),
        "planned 10 %": ended(planned(work, "wsd10", mixture, seed)),
        "planned 20 %": ended(planned(work, "wsd20", mixture, seed)),
        "decisions": [[x["step"], x["rule"], x["control"], x["evidence"]] for x in decided],
    }  # fmt: skip


def planned(work: pathlib.Path, *run) -> pathlib.Path:
    """The folder of a run of the study, which must be there."""
    schedule, mixture, seed = run
    wanted = (schedule, SIZE, mixture, seed)
    [name] = [name for name, one in runs_study.runs().items() if one == wanted]
    if not (work / "runs" / name / "summary.json").exists():
        raise SystemExit(f"{name} is missing; run launch/runs_study.py --only {name} first.")
    return work / "runs" / name


def ended(folder: pathlib.Path) -> float:
    """The mean training loss of the last steps."""
    course = {line["step"]: line["loss"] for line in read_lines(folder / "metrics.jsonl")}
    first = max(course) * (1 - FINAL)
    return statistics.fmean(loss for step, loss in course.items() if step > first)


def main() -> None:
    """Makes the runs that are missing, and prints what each came to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=pathlib.Path, required=True, help="that of runs_study.py")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    given = parser.parse_args()
    told = []
    for seed in runs_study.SEEDS[SIZE]:
        for mixture in runs_study.MIXTURES:
            told.append(compared(given.work, mixture, seed))
            print({key: value for key, value in told[-1].items() if key != "decisions"}, flush=True)
    kept.write(given.output, told)


if __name__ == "__main__":
    main()
