"""The gauntlet: planted faults and healthy runs under three policies, from nothing to a table.

    python launch/gauntlet.py --jobs 2                 everything; goes on where it stands
    python launch/gauntlet.py --only nan_burst --seeds 1 --tokens 65536

Each run is a process of its own, started again as a supervisor would (exit code 75, or killed)
up to three times. Its result is a JSON file in `docs/results/gauntlet/`; what is there is not
run again. `docs/results/gauntlet.json` and `gauntlet.md` sum up.
"""

import argparse
import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from aquila_jax.config import Config, build, from_config_dict, plain  # noqa: E402
from aquila_jax.core.journal import read_lines  # noqa: E402
from aquila_jax.dmu import prepare  # noqa: E402
from aquila_jax.dmu.sample import write_sample  # noqa: E402
from aquila_jax.tsm.early_warning import reference_curve  # noqa: E402
from configs import small, tiny  # noqa: E402
from launch import faults, gauntlet_table  # noqa: E402
from launch.planting import Site  # noqa: E402

POLICIES = ("static", "aquila", "peers")
POLICIES_OF_HEALTHY = ("static", "aquila")
HEALTHY_SEEDS = 10
PROXY_SEED = 100
STARTS = 4
NEAR = 30  # steps between two signs that count as the same
VOCABULARY, LENGTH, BATCH, PEAK = 2048, 128, 8, 4e-3
ONE_CORE = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def main() -> None:
    """Runs what is missing, then writes the table."""
    options = _options()
    if options.one:
        return run_one(options, *options.one.split("/"))
    store(options.work)
    reference = options.work / "reference.json"
    if not reference.exists():
        supervise(options, ("proxy", "static", PROXY_SEED))
        lines = read_lines(folder(options, "proxy", "static", PROXY_SEED) / "metrics.jsonl")
        progress = [line["sequences"] / lines[-1]["sequences"] for line in lines]
        curve = reference_curve(np.array(progress), np.array([x["update_ratio"] for x in lines]))
        reference.write_text(json.dumps(curve))
    todo = [key for key in everything(options) if not result_file(options, *key).exists()]
    print(f"{len(todo)} runs to go", flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in pool.map(lambda key: supervise(options, key), todo):
            print(done, flush=True)
    gauntlet_table.write(options.results, clean="healthy")


def everything(options) -> list[tuple[str, str, int]]:
    """All runs (fault, policy, seed), clean ones of a seed first; wherever it stops, most is told.

    The first seed under all policies, then the others, of which the peers' rule comes last.
    """
    names = options.only or [*faults.FAULTS]
    seeds = options.seeds if options.only else max(HEALTHY_SEEDS, options.seeds)
    keys = [
        (name, policy, seed)
        for seed in range(seeds)
        for name in ["healthy", *(names if seed < options.seeds else [])]
        for policy in (POLICIES if seed < options.seeds else POLICIES_OF_HEALTHY)
    ]
    return sorted(keys, key=lambda key: key[1] == "peers" and key[2] > 0)


def settings(options, fault: str, policy: str, seed: int) -> Config:
    """A model of 0.6 million parameters; the mentor is told the same for every fault."""
    total = options.tokens // LENGTH
    corpus = ROOT.parent / "shared" / "corpus"
    base = from_config_dict((small if corpus.is_dir() else tiny).get_config())
    size = {"layers": 2, "embed": 96, "ffn": 256} if fault != "proxy" else {
        "layers": 2, "embed": 64, "ffn": 128}  # fmt: skip
    changed = plain(base)
    changed["name"] = f"{fault}-{policy}-{seed}"
    changed["model"] |= {"vocab": VOCABULARY, "heads": 4, "kv_heads": 4, "qk_norm": True}
    changed["model"] |= {"loss_chunks": 1, "unroll": 2}  # at this size, a tenth faster
    changed["model"] |= size | {"head_dim": size["embed"] // 4}
    changed["prepare"] |= {"vocab_size": VOCABULARY}
    changed["data"] |= {"length": LENGTH, "seed": seed, "mixture": "uniform"}
    changed["data"] |= {"store": str(options.work / "store"), "sample_megabytes": 0.0}
    changed["schedule"] |= {"peak": PEAK, "warmup": total // 20 // BATCH * BATCH}
    changed["schedule"] |= {"total": total // BATCH * BATCH, "decay_fraction": 0.2}
    changed["train"] |= {
        "batch": BATCH, "seed": seed, "evaluate_every": 0, "report_seconds": 30.0,
        "checkpoint_every": max(total // BATCH // 10, 1), "writers": [], "stall_seconds": 60.0,
    }  # fmt: skip
    changed["evaluate"] |= {"heldout_tokens": 8192, "questions": []}
    changed["mentor"] |= {"mode": "act", "policy": policy, "may": ["decay", "stop", "gate"]}
    changed["mentor"] |= {"snapshot_every": 20, "most_lr_scale": 10.0}
    reference = options.work / "reference.json"
    if reference.exists() and fault != "proxy":
        changed["mentor"]["reference_ratio"] = json.loads(reference.read_text())
    planned = build(Config, changed, "config")
    return faults.FAULTS[fault].settings(planned) if fault in faults.FAULTS else planned


def run_one(options, fault: str, policy: str, seed: str) -> None:
    """In a process of its own: plants the fault and trains."""
    from aquila_jax.train.loop import train  # noqa: PLC0415

    config = settings(options, fault, policy, int(seed))
    workdir = folder(options, fault, policy, int(seed))
    workdir.mkdir(parents=True, exist_ok=True)
    if fault in faults.FAULTS:
        where = site(config, workdir, fault, int(seed))
        faults.FAULTS[fault].plant(where)
    sys.exit({"finished": 0, "stopped": 75, "called": 3}[train(config, workdir)])


def site(config: Config, workdir: pathlib.Path, fault: str, seed: int) -> Site:
    """The same step for every policy."""
    key = int.from_bytes(hashlib.sha256(f"{fault}/{seed}".encode()).digest()[:4], "big")
    draw = np.random.default_rng(key)
    steps = config.schedule.total // config.train.batch
    step = int(draw.integers(round(0.25 * steps), round(0.65 * steps)))
    step = 1 if faults.FAULTS[fault].everywhere else step
    return Site(config=config, workdir=workdir, step=step, draw=draw)


def supervise(options, key: tuple[str, str, int]) -> str:
    """Starts a run until it is over, as a launch script would, and writes its result."""
    workdir, began, codes = folder(options, *key), time.time(), []
    command = [sys.executable, str(ROOT / "launch" / "gauntlet.py"), "--one", "/".join(map(str, key)),
               "--work", str(options.work), "--tokens", str(options.tokens)]  # fmt: skip
    flags = f"{os.environ.get('XLA_FLAGS', '')} {ONE_CORE}".strip()
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "OMP_NUM_THREADS": "1"}
    env |= {"JAX_COMPILATION_CACHE_DIR": str(options.work / "compiled")}
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / "log.txt").open("a") as log:
        while len(codes) < STARTS:
            done = subprocess.run(command, env=env, stdout=log, stderr=log, timeout=7200)
            codes.append(done.returncode)
            if done.returncode in (0, 1, 3):
                break
    if key[0] != "proxy":
        result = measure(options, key, codes) | {"seconds": time.time() - began}
        file = result_file(options, *key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".partial").write_text(json.dumps(result, indent=1))
        os.replace(file.with_suffix(".partial"), file)
        shutil.rmtree(workdir / "checkpoints", ignore_errors=True)
    return f"{'/'.join(map(str, key))}: exit {codes}, {time.time() - began:.0f} s"


def measure(options, key: tuple[str, str, int], codes: list[int]) -> dict:
    """What a finished run came to, from its own files."""
    fault, policy, seed = key
    workdir = folder(options, *key)
    config = settings(options, *key)
    metrics, journal = (read_lines(workdir / f"{n}.jsonl") for n in ("metrics", "journal"))
    ends = [x for x in read_lines(workdir / "evaluations.jsonl") if x["kind"] == "heldout"]
    ends = [x for x in ends if x["step"] == config.schedule.total // BATCH]
    step = site(config, workdir, fault, seed).step if fault in faults.FAULTS else None
    seen = signs(metrics, journal, read_lines(workdir / "events.jsonl"))
    clean_file, usual = result_file(options, "healthy", policy, seed), []
    if step is not None and clean_file.exists():
        usual = json.loads(clean_file.read_text())["signs"]
    course = {line["step"]: line for line in metrics}  # a later time line takes a step's place
    nats = {k: v["nats_per_token"] for k, v in ends[-1]["domains"].items()} if ends else {}
    clean = {k: v for i, (k, v) in enumerate(nats.items()) if fault != "garbage_domain" or i}
    final = float(np.mean([*clean.values()])) if clean else None
    return {
        "fault": fault, "policy": policy, "seed": seed, "fault_step": step, "exit": codes,
        "outcome": {0: "finished", 3: "called"}.get(codes[-1], "died"),
        "final": final if final is not None and np.isfinite(final) else None, "domains": nats,
        "signs": seen, "detected": detected(seen, usual, step),
        "decisions": [[x["step"], x["rule"], x["control"]] for x in journal if x["kind"] == "decision"],
        "verdicts": [[x["rule"], x["verdict"]] for x in journal if x["kind"] == "verify"],
        "blamed": [x["evidence"]["verdict"] for x in journal
                   if x["kind"] == "rewind" and x["evidence"]],
        "rewinds": sum(x["kind"] == "rewind" for x in journal),
        "skipped": sum(bool(x["skipped"]) for x in metrics),
        "tokens": metrics[-1]["tokens"] if metrics else 0,
        "wasted": max((x["wasted"] for x in journal if x["kind"] == "rewind"), default=0)
        + sum(x["skipped"] * sum(x["domain_tokens"].values()) for x in course.values()),
    }  # fmt: skip


def signs(metrics: list[dict], journal: list[dict], events: list[dict]) -> list[list]:
    """Every step and way in which anybody said that something was wrong."""
    found = [[x["step"], x["alarm"]["kind"]] for x in journal if x["kind"] == "alarm"]
    found += [[x["step"], f"decided {x['rule']}"] for x in journal if x["kind"] == "decision"]
    found += [[x["step"], "skipped"] for x in metrics if x["skipped"]]
    found += [[x["step"] + 1, "stalled"] for x in events if x["kind"] == "stall"]
    return sorted(found)


def detected(seen: list[list], usual: list[list], step: int | None) -> dict | None:
    """The first sign from the fault's step on that the clean run did not give there, too."""
    if step is None:
        return None
    for at, sign in seen:
        clean = any(sign == other and abs(at - when) <= NEAR for when, other in usual)
        if at >= step and not clean:
            return {"steps": at - step, "sign": sign}
    return None


def store(work: pathlib.Path) -> None:
    """Prepares the token store once, of the real corpus if it is there, else of generated text."""
    if (work / "store" / "manifest.json").exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    corpus = ROOT.parent / "shared" / "corpus"
    os.environ.setdefault("CORPUS", str(corpus))
    base = from_config_dict((small if corpus.is_dir() else tiny).get_config())
    if not corpus.is_dir():
        write_sample(work / "sample", seed=0, megabytes=base.data.sample_megabytes)
    sources = tuple(
        dataclasses.replace(s, paths=tuple(p.replace("{workdir}", str(work)) for p in s.paths))
        for s in base.prepare.sources
    )
    chosen = dataclasses.replace(base.prepare, sources=sources, vocab_size=VOCABULARY, clean=None)
    prepare.prepare(chosen, str(work / "store"), report=print)


def folder(options, fault: str, policy: str, seed: int) -> pathlib.Path:
    """The working directory of a run."""
    return options.work / "runs" / str(options.tokens) / f"{fault}-{policy}-{seed}"


def result_file(options, fault: str, policy: str, seed: int) -> pathlib.Path:
    """Where its result is kept."""
    return options.results / f"{fault}-{policy}-{seed}.json"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "runs" / "gauntlet")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "docs/results/gauntlet")
    parser.add_argument("--tokens", type=int, default=2**19)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one core each")
    parser.add_argument("--only", nargs="+", choices=[*faults.FAULTS], help="these faults")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
