"""A run small enough to be trained many times in one process; all share one compiled step."""

import dataclasses
import json
import pathlib

import jax

from aquila_jax.config import Config, build, plain
from aquila_jax.dmu import prepare
from aquila_jax.dmu.sample import write_sample
from aquila_jax.train.loop import train
from configs import tiny

STEPS, BATCH, LENGTH = 60, 8, 16


def config(store: pathlib.Path, **mentor) -> Config:
    """60 steps of a model of 30 thousand parameters; `mentor`: fields of its settings."""
    given = build(Config, tiny.get_config().to_dict(), "config")
    changed = plain(given)
    changed["model"] |= {"layers": 2, "embed": 16, "ffn": 32, "head_dim": 4, "vocab": 512}
    changed["prepare"] |= {"vocab_size": 512, "processes": 1}
    changed["data"] |= {"length": LENGTH, "sample_megabytes": 0.3, "store": str(store)}
    changed["schedule"] |= {"warmup": 4 * BATCH, "total": STEPS * BATCH}
    changed["train"] |= {
        "batch": BATCH, "heavy_every": 1000, "evaluate_every": 0, "checkpoint_every": 20,
        "report_seconds": 1e9, "writers": [], "keep": 10,
    }  # fmt: skip
    changed["evaluate"] |= {"questions": [], "heldout_tokens": 100, "rows": 8}
    changed["mentor"] |= {"snapshot_every": 8, "snapshots": 2, **mentor}
    return build(Config, changed, "config")


def change(settings: Config, part: str, **fields) -> Config:
    """Other values of one part of the configuration."""
    changed = dataclasses.replace(getattr(settings, part), **fields)
    return dataclasses.replace(settings, **{part: changed})


def make_store(folder: pathlib.Path, *, seed: int = 0) -> None:
    """A token store of generated text, in `folder`/store."""
    store = folder / "store"
    made = config(store)
    write_sample(folder / "sample", seed=seed, megabytes=made.data.sample_megabytes)
    sources = tuple(
        dataclasses.replace(
            source, paths=tuple(path.format(workdir=folder) for path in source.paths)
        )
        for source in made.prepare.sources
    )
    settings = dataclasses.replace(made.prepare, sources=sources)
    prepare.prepare(settings, str(store), report=lambda line: None)


def run(settings: Config, workdir: pathlib.Path) -> str:
    return train(settings, workdir, report=lambda line: None, devices=jax.devices()[:1])


def lines(workdir: pathlib.Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (workdir / f"{name}.jsonl").read_text().splitlines()]


def losses(workdir: pathlib.Path) -> list[tuple]:
    return [(line["timeline"], line["step"], line["loss"]) for line in lines(workdir, "metrics")]


def last_checkpoint(workdir: pathlib.Path) -> tuple[int, int]:
    """Step and fingerprint of the newest."""
    steps = sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())
    saved = workdir / "checkpoints" / str(steps[-1]) / "host" / "metadata"
    return steps[-1], json.loads(saved.read_text())["fingerprint"]
