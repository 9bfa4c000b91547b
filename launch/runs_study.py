"""Small healthy runs on real text, for everything that is measured on finished runs.

    python launch/runs_study.py --corpus ../shared/corpus --work build/runs

40 runs of 1 M tokens: schedules x sizes x mixtures, four seeds of the small size, one of the
other. A run that is whole is not made again by a later call, one that was stopped goes on. Even
numbers are for tuning and odd ones for test (`launch/recorded.py`); no combination of schedule,
size and mixture is in both. About 70 CPU seconds a run; a part of them will do for what follows.
"""

import argparse
import dataclasses
import itertools
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax

from aquila_jax.config import Config, build, from_config_dict, plain
from aquila_jax.dmu.prepare import PrepareSettings, prepare
from aquila_jax.dmu.sources import Source
from aquila_jax.train.loop import train
from configs import tiny
from configs.small import LANGUAGES

VOCABULARY, LENGTH, BATCH, STEPS = 2048, 64, 8, 2000
WARMUP, PEAK = 80, 4e-3
SCHEDULES = {
    "cosine": {"kind": "cosine", "floor": 0.1},
    "wsd10": {"kind": "wsd", "decay_fraction": 0.1},
    "wsd20": {"kind": "wsd", "decay_fraction": 0.2},
    "constant": {"kind": "constant"},
}
SIZES = {  # 0.36 and 0.61 million parameters
    "small": {"layers": 2, "embed": 64, "ffn": 176, "head_dim": 16},
    "large": {"layers": 2, "embed": 96, "ffn": 256, "head_dim": 24},
}
MIXTURES = ("uniform", "natural")
SEEDS = {"small": (0, 1, 2, 3), "large": (0,)}


def runs() -> dict[str, tuple[str, str, str, int]]:
    """Name -> schedule, size, mixture and seed; tuning and test take turns."""
    combinations = list(itertools.product(SCHEDULES, SIZES, MIXTURES))
    place = [sum(axis.index(value) for axis, value in zip(
        (list(SCHEDULES), list(SIZES), list(MIXTURES)), one, strict=True)) for one in combinations]  # fmt: skip
    halves = [[one for one, at in zip(combinations, place, strict=True) if at % 2 == half]
              for half in (0, 1)]  # fmt: skip
    pairs = list(zip(*halves, strict=True))
    ordered = [
        (*one, seed)
        for seed in SEEDS["small"]
        for pair in pairs
        for one in pair
        if seed in SEEDS[one[1]]
    ]
    return {f"{i:02}-{'-'.join(map(str, one))}": one for i, one in enumerate(ordered)}


def store_of(corpus: pathlib.Path, work: pathlib.Path) -> str:
    """The token store, made once, of all ten domains."""
    prepare(prepared(sources(corpus)), str(work / "store"), report=print)
    return str(work / "store")


def sources(corpus: pathlib.Path) -> tuple[Source, ...]:
    """The text of all ten domains, to train on and held out."""
    return tuple(
        Source(name=name, language=language, paths=(f"{corpus}/{name}/{files}",), split=split)
        for name, language in LANGUAGES.items()
        for split, files in (("train", "train-*.jsonl.gz"), ("heldout", "heldout.jsonl.gz"))
    )


def prepared(sources: tuple[Source, ...]) -> PrepareSettings:
    """How a store of these sources is made."""
    return dataclasses.replace(
        base().prepare, sources=sources, vocab_size=VOCABULARY, heldout=0.0,
        tokenizer_bytes=8_000_000, processes=1,
    )  # fmt: skip


def base() -> Config:
    """The tiny configuration as it comes."""
    return from_config_dict(tiny.get_config())


def config_of(store: str, schedule: str, size: str, *, mixture: str, seed: int) -> Config:
    """One run; the mentor only advises, and nothing is written that nobody reads here."""
    changed = plain(base())
    changed["name"] = f"{schedule}-{size}-{mixture}-{seed}"
    changed["model"] |= SIZES[size] | {"vocab": VOCABULARY, "heads": 4, "kv_heads": 4}
    changed["prepare"]["vocab_size"] = VOCABULARY
    changed["data"] |= {"length": LENGTH, "store": store, "seed": seed, "mixture": mixture}
    changed["data"] |= {"sample_megabytes": 0.0, "weights": {}}
    changed["schedule"] |= {"peak": PEAK, "warmup": WARMUP * BATCH, "total": STEPS * BATCH}
    changed["schedule"] |= SCHEDULES[schedule]
    changed["train"] |= {
        "batch": BATCH, "seed": seed, "evaluate_every": 0, "checkpoint_every": 0, "keep": 1,
        "report_seconds": 1e9, "writers": [],
    }  # fmt: skip
    changed["evaluate"] |= {"heldout_tokens": 1_000, "questions": []}
    changed["mentor"] |= {"mode": "shadow"}
    return build(Config, changed, "config")


def another(doc: str) -> tuple[argparse.Namespace, Config]:
    """`--work` and `--output` of a study on these runs, and one more run, which is not among them."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--work", type=pathlib.Path, required=True, help="that of runs_study.py")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    given = parser.parse_args()
    store = str(given.work / "store")
    return given, config_of(store, "wsd20", "small", mixture="uniform", seed=9)


def make(config: Config, workdir: pathlib.Path) -> float:
    """Trains, or goes on, unless that is done; seconds that it took."""
    begun = time.monotonic()
    if not (workdir / "summary.json").exists():
        finish(config, workdir)
    return time.monotonic() - begun


def finish(config: Config, workdir: pathlib.Path) -> None:
    """Trains, or goes on, to the end of the run; a run that stops before ends the study."""
    outcome = train(config, workdir, report=lambda line: None, devices=jax.devices()[:1])
    if outcome != "finished":
        raise SystemExit(f"{workdir}: {outcome}; run the same command to go on")


def main() -> None:
    """Makes the runs that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="+", choices=[*runs()], help="these runs")
    given = parser.parse_args()
    store = store_of(given.corpus, given.work)
    small_first = sorted(runs().items(), key=lambda item: item[1][1] == "large")
    for name, (schedule, size, mixture, seed) in small_first:
        if name in (given.only or runs()):
            config = config_of(store, schedule, size, mixture=mixture, seed=seed)
            print(f"{name}: {make(config, given.work / 'runs' / name):.0f} s", flush=True)


if __name__ == "__main__":
    main()
