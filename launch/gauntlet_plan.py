"""What each run of the gauntlet is: its configuration, its text, and where its fault begins."""

import dataclasses
import hashlib
import os
import pathlib

import numpy as np

from aquila_jax.config import Config, build, from_config_dict, located, plain
from aquila_jax.dmu import prepare
from aquila_jax.dmu.sample import write_sample
from configs import small, tiny
from launch import faults, kept
from launch.planting import Site

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRIAL = 0.0625  # of the run, for each rate that is tried: 64 of its 1,024 steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """A model and a smaller one like it, what they are trained on, and where."""

    model: dict[str, int]
    proxy: dict[str, int]
    vocab: int
    length: int
    batch: int
    peak: float
    tokens: int  # of a run whose result is published
    gpu: bool = False


SIZES = {
    "1M": Size(  # 0.95 million parameters
        model={"layers": 2, "embed": 128, "ffn": 384, "head_dim": 32, "unroll": 2},
        proxy={"layers": 2, "embed": 64, "ffn": 128, "head_dim": 16, "unroll": 2},
        vocab=2048, length=128, batch=8, peak=4e-3, tokens=2**20,
    ),
    "34M": Size(
        model={"layers": 8, "embed": 512, "ffn": 1408, "head_dim": 64, "heads": 8, "kv_heads": 8},
        proxy={"layers": 4, "embed": 128, "ffn": 384, "head_dim": 32},
        vocab=8192, length=512, batch=32, peak=2e-3, tokens=10 * 2**20, gpu=True,
    ),
}  # fmt: skip


def settings(options, fault: str, policy: str, seed: int) -> Config:
    """One run, as a person would have planned it, mistakes included."""
    size = SIZES[options.size]
    total = options.tokens // size.length
    changed = plain(planned()[0])
    changed["name"] = f"{fault}-{policy}-{seed}"
    changed["model"] |= {"vocab": size.vocab, "heads": 4, "kv_heads": 4, "qk_norm": True}
    changed["model"] |= {"loss_chunks": 1, "unroll": 1}
    changed["model"] |= {"compute_dtype": "bfloat16" if size.gpu else "float32"}
    changed["model"] |= size.proxy if fault == "proxy" else size.model
    changed["prepare"] |= {"vocab_size": size.vocab}
    changed["data"] |= {"length": size.length, "seed": seed, "mixture": "uniform"}
    changed["data"] |= {"store": str(options.work / "store"), "sample_megabytes": 0.0}
    changed["schedule"] |= {"peak": size.peak, "warmup": total // 20 // size.batch * size.batch}
    changed["schedule"] |= {"total": total // size.batch * size.batch, "decay_fraction": 0.2}
    changed["train"] |= {
        "batch": size.batch, "seed": seed, "evaluate_every": 0, "report_seconds": 30.0,
        "checkpoint_every": max(total // size.batch // 10, 1), "writers": [], "stall_seconds": 60.0,
    }  # fmt: skip
    changed["evaluate"] |= {"heldout_tokens": 8192, "questions": []}
    changed["mentor"] |= _mentor(options, policy)
    config = build(Config, changed, "config")
    return faults.FAULTS[fault].settings(config) if fault in faults.FAULTS else config


def _mentor(options, policy: str) -> dict:
    """Told the same for every fault; of `probe` only that it may try rates before the run."""
    told = {"mode": "act", "snapshot_every": 20, "most_lr_scale": 10.0}
    if policy == "probe":
        return told | {"policy": "aquila", "may": [], "probe": TRIAL}
    reference = kept.read(reference_file(options), [])
    return told | {
        "policy": policy, "may": ["decay", "stop", "gate"], "reference_ratio": reference,
    }  # fmt: skip


def reference_file(options) -> pathlib.Path:
    """Where the update ratios of the proxy are kept, which the mentor is told."""
    return options.work / "runs" / str(options.tokens) / "reference.json"


def planned() -> tuple[Config, bool]:
    """The configuration that all runs begin with, and whether there is a real corpus for it."""
    corpus = os.environ.setdefault("CORPUS", str(ROOT.parent / "shared" / "corpus"))
    real = pathlib.Path(corpus).is_dir()
    return from_config_dict((small if real else tiny).get_config()), real


def site(config: Config, workdir: pathlib.Path, fault: str, seed: int) -> Site:
    """Where the fault is planted: at the same step for every policy."""
    key = int.from_bytes(hashlib.sha256(f"{fault}/{seed}".encode()).digest()[:4], "big")
    draw = np.random.default_rng(key)
    steps = config.schedule.total // config.train.batch
    step = int(draw.integers(round(0.25 * steps), round(0.65 * steps)))
    step = 1 if faults.FAULTS[fault].everywhere else step
    return Site(config=config, workdir=workdir, step=step, draw=draw)


def store(work: pathlib.Path, size: str) -> None:
    """Prepares the token store once, of the real corpus if it is there, else of generated text."""
    if (work / "store" / "manifest.json").exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    base, real = planned()
    if not real:
        write_sample(work / "sample", seed=0, megabytes=base.data.sample_megabytes)
    vocab = SIZES[size].vocab
    chosen = dataclasses.replace(located(base, work).prepare, vocab_size=vocab, clean=None)
    prepare.prepare(chosen, str(work / "store"), report=print)
