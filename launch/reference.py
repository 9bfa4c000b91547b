"""The update ratios of a good smaller run, as the guard of the learning rate wants them.

    python launch/reference.py runs/tiny

Prints the line for `MentorConfig(...)` in a configuration. Updates over weights hardly depend on the
size of a model under one schedule (aquila_jax/tsm/early_warning.py), so a proxy tells a larger run.
It does best with as many steps: one of a quarter of them has ratios up to three times as high, and
what it lets pass is as much more.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from aquila_jax.core.journal import read_lines
from aquila_jax.tsm.early_warning import reference_curve


def of_run(workdir: pathlib.Path) -> tuple[float, ...]:
    """Medians over equal parts of a finished run's progress."""
    lines = read_lines(workdir / "metrics.jsonl")
    if not lines:
        raise ValueError(
            f"{workdir} has no steps in metrics.jsonl; name the folder of a finished run."
        )
    last = {line["step"]: line for line in lines}  # after a rewind the later line counts
    taken = [line for line in last.values() if not line.get("skipped")]
    progress = np.array([line["sequences"] for line in taken]) / lines[-1]["sequences"]
    return reference_curve(progress, np.array([line["update_ratio"] for line in taken]))


def main() -> None:
    """Prints one line of Python."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workdir", type=pathlib.Path)
    try:
        curve = of_run(parser.parse_args().workdir)
    except ValueError as error:
        raise SystemExit(f"reference: {error}") from None
    print(f"reference_ratio=({', '.join(f'{ratio:.4g}' for ratio in curve)}),")


if __name__ == "__main__":
    main()
