"""Measures training speed in interleaved rounds; see launch/benchmark.sh.

Every contestant is a process of its own that has compiled and warmed up, and sleeps while the
others run. In each round each runs for the same number of seconds, one after another, so that
what else the machine does falls on all of them alike; ratios are taken round by round. A turn
ends when the steps that were started are done: they would else run in the turn of the next.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

MODELS = {
    "A": dict(vocab=8192, layers=6, embed=256, ffn=704, heads=4, kv_heads=4, head_dim=64),
    "B": dict(vocab=16384, layers=8, embed=512, ffn=1408, heads=8, kv_heads=2, head_dim=64),
}
BATCH = {"A": (16, 256), "B": (8, 512)}
CONTESTANTS = ("loop", "step", "torch", "torch_compiled")
FILE = Path("docs/results/benchmark.json")

# Does one step, or starts it, and returns its tokens; and waits for all that was started.
Contestant = tuple[Callable[[], int], Callable[[], object]]


def configuration(name: str):
    """The benchmark's model and batch as a configuration of the main job."""
    from aquila_jax.config import from_config_dict
    from configs import small

    rows, length = BATCH[name]
    config = from_config_dict(small.get_config())
    change = dataclasses.replace
    prepare = change(config.prepare, vocab_size=MODELS[name]["vocab"], clean=None)
    train = change(config.train, batch=rows, evaluate_every=0, checkpoint_every=0)
    unroll = MODELS[name]["layers"]
    model = change(config.model, qk_norm=False, unroll=unroll, **MODELS[name])
    return change(
        config,
        model=model,
        prepare=prepare,
        data=change(config.data, length=length, store=f"{{workdir}}/../store{name}"),
        schedule=change(config.schedule, warmup=rows, total=rows * 10**6),
        train=change(train, report_seconds=1e9, stall_seconds=1e9),
        evaluate=change(config.evaluate, heldout_tokens=1),
    )


def loop(name: str, folder: Path) -> Contestant:
    """The whole main job: stream, step, signals, monitor, mentor, files."""
    import jax

    from aquila_jax.config import located
    from aquila_jax.core import sharding
    from aquila_jax.dmu.prepare import prepare
    from aquila_jax.train.run import Run

    config = configuration(name)
    workdir = folder / f"loop{name}"
    place = located(config, workdir)
    prepare(place.prepare, place.data.store, report=lambda line: None)
    jax.set_mesh(sharding.make_mesh({}))
    run = Run(config, workdir, report=lambda line: None).__enter__()

    def once() -> int:
        run.dispatch()
        run.settle()
        return config.train.batch * config.data.length

    return once, lambda: jax.block_until_ready(run.state)


def random_batch(vocab: int, shape: tuple[int, int, int]):
    """A batch `[A, B, L]` of random tokens, each sequence one document."""
    import numpy as np

    from aquila_jax.core.signals import Batch

    tokens = np.random.default_rng(0).integers(3, vocab, shape).astype(np.int32)
    return Batch(
        tokens=tokens,
        targets=np.roll(tokens, -1, axis=2),
        segment_ids=np.ones(shape, np.int32),
        positions=np.broadcast_to(np.arange(shape[2], dtype=np.int32), shape).copy(),
        loss_mask=np.ones(shape, np.float32),
        domain_ids=np.zeros(shape, np.int32),
    )


def step(name: str, folder: Path) -> Contestant:
    """The compiled step alone, on one batch that stays on the device."""
    import jax
    import numpy as np

    from aquila_jax.ate.optimizer import neutral_control
    from aquila_jax.core import feed, sharding
    from aquila_jax.core.signals import Control
    from aquila_jax.train.state import Program, init_state
    from aquila_jax.train.step import train_step

    config = configuration(name)
    mesh = sharding.make_mesh({})
    jax.set_mesh(mesh)
    program = Program(
        model=config.model, optimizer=config.optimizer, schedule=config.schedule, domains=10
    )
    state = init_state(program, jax.random.key(0))
    tokens = config.train.batch * config.data.length
    batch = random_batch(config.model.vocab, (1, config.train.batch, config.data.length))
    batch = feed.put(batch, mesh, config.train.batch)
    control = neutral_control(config.optimizer, config.schedule, 0.0)
    control = jax.device_put(Control(*map(np.float32, control)))
    signals = []

    def once() -> int:
        nonlocal state
        state, told = train_step(program, state, batch, control, statistics="light")
        signals.append(told.loss)
        if len(signals) > 2:
            signals.pop(0).block_until_ready()
        return tokens

    return once, lambda: jax.block_until_ready(state)


def torch(name: str, folder: Path, *, compiled: bool = False) -> Contestant:
    """transformers' Llama of the same shape, fused AdamW, float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size, (rows, length) = MODELS[name], BATCH[name]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size["vocab"],
            hidden_size=size["embed"],
            intermediate_size=size["ffn"],
            num_hidden_layers=size["layers"],
            num_attention_heads=size["heads"],
            num_key_value_heads=size["kv_heads"],
            head_dim=size["head_dim"],
            max_position_embeddings=length,
            tie_word_embeddings=False,
            use_cache=False,
        )
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    tokens = torch.randint(0, size["vocab"], (rows, length))

    def forward():
        return model(input_ids=tokens, labels=tokens).loss

    forward = torch.compile(forward) if compiled else forward

    def once() -> int:
        optimizer.zero_grad(set_to_none=True)
        loss = forward()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        return tokens.numel()

    return once, lambda: None


def torch_compiled(name: str, folder: Path) -> Contestant:
    """The same through torch.compile."""
    return torch(name, folder, compiled=True)


def contend(kind: str, name: str, folder: Path) -> None:
    """The life of a contestant: warm up, then run for as long as each line asked says."""
    once, finish = globals()[kind](name, folder)
    for _ in range(4):
        once()
    finish()
    print("ready", flush=True)
    for line in sys.stdin:
        start, tokens = time.perf_counter(), 0
        while time.perf_counter() - start < float(line):
            tokens += once()
        finish()
        print(tokens / (time.perf_counter() - start), flush=True)


def compare(name: str, rounds: int, seconds: float, folder: Path) -> dict:
    """Tokens per second of each contestant in each round, and the matmul peak beside them."""
    from aquila_jax.model.config import ModelConfig, flops_per_token
    from aquila_jax.train.speed import measured_flops

    processes = {}
    for kind in CONTESTANTS:
        command = [sys.executable, __file__, "--contend", kind, name, str(folder)]
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd()}
        processes[kind] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        while (line := processes[kind].stdout.readline()) != "ready\n":
            if not line:
                raise SystemExit(f"{kind} did not start; run: {' '.join(command)}")
    speeds, peaks = {kind: [] for kind in CONTESTANTS}, []
    for number in range(rounds):
        peaks.append(measured_flops(1536, 1.0))
        for kind, process in processes.items():
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
            speeds[kind].append(float(process.stdout.readline()))
        print(number + 1, {kind: round(values[-1]) for kind, values in speeds.items()}, flush=True)
    for process in processes.values():
        process.kill()
    flops = flops_per_token(ModelConfig(**MODELS[name]), BATCH[name][1])
    return {"tokens_per_second": speeds, "peak_flops": peaks, "flops_per_token": flops}


def stream_speed(folder: Path) -> list[dict]:
    """Million tokens per second of one core, over domains, position, length and rows."""
    from aquila_jax.dmu import ledger as ledgers
    from aquila_jax.dmu.store import open_store
    from aquila_jax.dmu.stream import Stream
    from tests.dmu.memory import random_store, write_store

    os.sched_setaffinity(0, {0})
    told = []
    for domains in (10, 1000):
        place = folder / f"stream{domains}"
        sizes = {f"domain{i:04d}": 16_000 // domains for i in range(domains)}
        write_store(random_store(sizes, longest=1000), str(place))
        store = open_store(str(place))
        for length, rows, first in [
            (n, r, f) for n in (256, 2048) for r in (16, 256) for f in (0, 10**9)
        ]:
            stream = Stream(store, length, "concat")
            sizes = stream.sizes
            book = ledgers.start(0, sizes, dict.fromkeys(sizes, 1.0))
            for warm in range(3):
                stream.batch(book, first + warm * rows, (1, rows), slice(0, rows))
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < 2:
                stream.batch(book, first + count * rows, (1, rows), slice(0, rows))
                count += 1
            speed = count * rows * length / (time.perf_counter() - start) / 1e6
            told.append(
                {
                    "domains": domains,
                    "length": length,
                    "rows": rows,
                    "first": first,
                    "million_tokens_per_second": speed,
                }
            )
            print(told[-1], flush=True)
    return told


def table(name: str, result: dict) -> list[str]:
    """Medians, spread, and ratios round by round."""
    speeds, peak = result["tokens_per_second"], statistics.median(result["peak_flops"])
    best = [max(pair) for pair in zip(speeds["torch"], speeds["torch_compiled"], strict=True)]
    lines = [
        f"| {name} | tokens/s, median (range) | of the matmul peak | to the better PyTorch |",
        "|---|---|---|---|",
    ]
    for kind, values in speeds.items():
        ratio = statistics.median(v / b for v, b in zip(values, best, strict=True))
        share = statistics.median(values) * result["flops_per_token"] / peak
        span = f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
        lines.append(f"| {kind} | {span} | {share:.2f} | {ratio:.2f} |")
    loop_to_step = statistics.median(
        a / b for a, b in zip(speeds["loop"], speeds["step"], strict=True)
    )
    return [*lines, "", f"loop / step: {loop_to_step:.3f}; matmul peak {peak / 1e9:.0f} GFLOP/s"]


def main() -> None:
    """Runs what was asked for and merges it into the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=["A", "B"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--stream", action="store_true", help="the stream only")
    parser.add_argument("--contend", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        kind, name, folder = options.contend
        return contend(kind, name, Path(folder))
    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        if options.stream:
            results["stream"] = stream_speed(Path(folder))
        for name in [] if options.stream else options.models:
            results[name] = compare(name, options.rounds, options.seconds, Path(folder))
            print("\n".join(table(name, results[name])))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(results, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
