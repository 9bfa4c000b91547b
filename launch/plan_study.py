"""Plans for the published models on slices of every kind of chip: docs/results/plan.json and .md.

Run:      python launch/plan_study.py [--tries 1] [--cache DIR]     (no TPU; needs the extra `tpu`)
Hardware: any CPU with 16 GB
Time:     a minute or more each, the last column of the table; what was compiled before is not compiled again
"""

import argparse
import dataclasses
import functools
import sys
from pathlib import Path

from aquila_jax.config_file import load_config
from aquila_jax.plan import cache, chips, command, table
from aquila_jax.plan.search import Search, best
from aquila_jax.train import ahead

RESULTS = Path(__file__).resolve().parents[1] / "docs/results"
# US dollars a chip and hour on demand, cloud.google.com/tpu/pricing; none is listed for tpu7x.
PRICES = {"v5e": 1.20, "v5p": 4.20, "v6e": 2.70}
ORDER = (
    ("7b", "v5e-256"), ("70b", "v5p-512"), ("34b", "v6e-256"), ("7b", "tpu7x-128"),
    ("7b", "v5p-128"), ("34b", "v5p-128"), ("70b", "v6e-256"), ("34b", "v5e-256"),
    ("70b", "v5e-256"), ("70b", "v5p-128"), ("7b", "v6e-256"), ("34b", "v5p-512"),
    ("70b", "tpu7x-128"), ("34b", "tpu7x-128"), ("7b", "v5p-512"), ("70b", "v5e-64"),
)  # fmt: skip
MODELS = ("aquila2_7b", "aquila2_34b", "aquila2_70b")
HEAD = """# Plans

The real training step of each published configuration, compiled by libtpu for a slice that was not there. Made by
`python launch/plan_study.py` (raw: [plan.json](plan.json)); {tries} compilation(s) a slice, two more where
that does not fit. A device is a chip, but half
a chip on tpu7x. Batches are those of `configs/`, rounded by at most 5 % where the slice does not divide them. Compiled
on two shared CPU cores: the seconds are of a busy machine.

"""


def main() -> int:
    """One plan after another, each written down when it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1, help="compilations for a slice")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/aquila_jax/plan")
    options = parser.parse_args()
    plans, failed = [], 0
    say = functools.partial(print, flush=True)
    how = Search(lower=ahead.lower, folder=options.cache, tries=options.tries, say=say)
    for model, topology in ORDER:
        config, slice_ = load_config(f"configs/aquila2_{model}.py", []), chips.find(topology)
        try:
            plan = best(config, slice_, how)
            if not plan["fits"]:  # the sketch was wrong, and the compiler has corrected it
                plan = best(config, slice_, dataclasses.replace(how, tries=options.tries + 2))
        except ValueError as error:
            say(f"{model} on {topology}: {error}")
            failed += 1
            continue
        plans.append(command.priced(plan, PRICES.get(slice_.chip.family)))
        write(plans, options.tries)
    return 1 if failed else 0


def write(plans: list[dict], tries: int) -> None:
    """All plans so far."""
    cache.write_json(RESULTS / "plan.json", {"note": command.NOTE, "plans": plans})
    ordered = sorted(plans, key=lambda plan: MODELS.index(plan["config"]))
    done = {(plan["config"].removeprefix("aquila2_"), plan["topology"]) for plan in plans}
    left = ", ".join(f"{model} on {name}" for model, name in ORDER if (model, name) not in done)
    lines = [HEAD.format(tries=tries) + table.markdown(ordered), "", command.NOTE, ""]
    lines += [f"Not compiled yet: {left or 'none'}.", ""]
    for plan in ordered:
        first, *rest = table.details(plan)
        lines += [f"## {first}", "", "```", *(line[2:] for line in rest), "```", ""]
    (RESULTS / "plan.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
