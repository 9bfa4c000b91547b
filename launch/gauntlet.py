"""The gauntlet: planted faults and healthy runs under three policies, from nothing to a table.

    python launch/gauntlet.py --jobs 2                 everything; goes on where it stands
    python launch/gauntlet.py --only nan_burst --seeds 1 --tokens 65536
    python launch/gauntlet.py --size 34M --seeds 1     on a GPU

Each run is a process of its own, started again as a supervisor would (exit code 75, or killed)
up to three times. Its result is a JSON file in `docs/results/gauntlet/`; what is there is not
run again. `docs/results/gauntlet.json` and `gauntlet.md` sum up; `gauntlet_34M` is the like. Runs
of another length are not comparable: their results go to `results/TOKENS` in the folder `--work`,
with a table beside it.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from launch import faults, gauntlet_plan, gauntlet_result, gauntlet_table, kept, reference  # noqa: E402

POLICIES = ("static", "aquila", "peers")
POLICIES_OF_HEALTHY = ("static", "aquila")
HEALTHY_SEEDS = 10
PROXY = ("proxy", "static", 100)
SIZE = "1M"  # unless another is asked for
STARTS = 4
ONE_CORE = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
CPU = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
CPU["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_CORE}".strip()
GPU = {"JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # several share it


def main() -> None:
    """Runs what is missing, then writes the table."""
    options = _options()
    if options.one:
        return run_one(options, *options.one.split("/"))
    gauntlet_plan.store(options.work, options.size)
    refer(options)
    todo = [key for key in everything(options) if not result_file(options, *key).exists()]
    print(f"{len(todo)} runs to go", flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in pool.map(lambda key: supervise(options, key), todo):
            print(done, flush=True)
    gauntlet_table.write(options.results, clean="healthy")


def refer(options) -> None:
    """Trains the proxy once, and keeps its update ratios."""
    file = gauntlet_plan.reference_file(options)
    if not file.exists():
        supervise(options, PROXY)
        kept.write(file, reference.of_run(folder(options, *PROXY)))


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


def run_one(options, fault: str, policy: str, seed: str) -> None:
    """In a process of its own: plants the fault and trains."""
    from aquila_jax.train.loop import train

    config = gauntlet_plan.settings(options, fault, policy, int(seed))
    workdir = folder(options, fault, policy, int(seed))
    workdir.mkdir(parents=True, exist_ok=True)
    if fault in faults.FAULTS:
        faults.FAULTS[fault].plant(gauntlet_plan.site(config, workdir, fault, int(seed)))
    sys.exit({"finished": 0, "stopped": os.EX_TEMPFAIL, "called": 3}[train(config, workdir)])


def supervise(options, key: tuple[str, str, int]) -> str:
    """Starts a run until it is over, as a launch script would, and writes its result."""
    began, codes = time.time(), started(options, key)
    if key != PROXY:
        told = result(options, key, codes) | {"seconds": time.time() - began}
        kept.write(result_file(options, *key), told)
        shutil.rmtree(folder(options, *key) / "checkpoints", ignore_errors=True)
    return f"{'/'.join(map(str, key))}: exit {codes}, {time.time() - began:.0f} s"


def started(options, key: tuple[str, str, int]) -> list[int]:
    """The exit codes of all its starts; the last one tells how it ended."""
    workdir, codes = folder(options, *key), []
    command = [sys.executable, str(ROOT / "launch" / "gauntlet.py"), "--one", "/".join(map(str, key)),
               "--work", str(options.work), "--tokens", str(options.tokens), "--size", options.size]  # fmt: skip
    env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(options.work / "compiled")}
    env |= GPU if gauntlet_plan.SIZES[options.size].gpu else CPU
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / "log.txt").open("a") as log:
        while len(codes) < STARTS and not (codes and codes[-1] in (0, 1, 3)):
            done = subprocess.run(command, env=env, stdout=log, stderr=log, timeout=7200)
            codes.append(done.returncode)
    return codes


def result(options, key: tuple[str, str, int], codes: list[int]) -> dict:
    """What a run came to that is over, and when its fault was seen."""
    fault, policy, seed = key
    config, workdir = gauntlet_plan.settings(options, *key), folder(options, *key)
    last = config.schedule.total // config.train.batch
    told = gauntlet_result.measure(workdir, fault, last=last)
    planted = fault in faults.FAULTS
    step = gauntlet_plan.site(config, workdir, fault, seed).step if planted else None
    clean = kept.read(result_file(options, "healthy", policy, seed), {"signs": []})
    return {
        "fault": fault, "policy": policy, "seed": seed, "fault_step": step, "exit": codes,
        "outcome": {0: "finished", 3: "called"}.get(codes[-1], "died"), **told,
        "detected": gauntlet_result.detected(told["signs"], clean["signs"], step),
    }  # fmt: skip


def folder(options, fault: str, policy: str, seed: int) -> pathlib.Path:
    """The working directory of a run."""
    return options.work / "runs" / str(options.tokens) / f"{fault}-{policy}-{seed}"


def result_file(options, fault: str, policy: str, seed: int) -> pathlib.Path:
    """Where its result is kept."""
    return options.results / f"{fault}-{policy}-{seed}.json"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one core each")
    parser.add_argument("--only", nargs="+", choices=[*faults.FAULTS], help="these faults")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parsed(parser)


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for, and where the runs and results are; of every study on these runs."""
    parser.add_argument("--size", choices=[*gauntlet_plan.SIZES], default=SIZE)
    parser.add_argument("--work", type=pathlib.Path, help="default: runs/gauntlet")
    parser.add_argument("--results", type=pathlib.Path, help="the folder for one file a run")
    parser.add_argument("--tokens", type=int, help="of a run, if not as published")
    options = parser.parse_args()
    name = "gauntlet" if options.size == SIZE else f"gauntlet_{options.size}"
    options.work = options.work or ROOT / "runs" / name
    usual = gauntlet_plan.SIZES[options.size].tokens
    options.tokens = options.tokens or usual
    published, own = ROOT / "docs/results" / name, options.work / "results" / str(options.tokens)
    options.results = options.results or (published if options.tokens == usual else own)
    return options


if __name__ == "__main__":
    main()
