"""Who is measured by launch/benchmark.py: each sets up one model and says how a step is done.

PyTorch has the same numerics: float32 on a CPU; on a GPU bfloat16 products of float32 weights.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

# Does one step, or starts it, and returns its tokens; and waits for all that was started.
Contestant = tuple[Callable[[], int], Callable[[], object]]
AHEAD = 2  # steps that may be started before an earlier one is done, as in the loop


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """A model and its batch."""

    rows: int
    length: int
    gpu: float = 0.0  # what share of its memory XLA takes, for ever; PyTorch does with the rest
    model: dict[str, int]


SHAPES = {
    "A": Shape(rows=16, length=256, model=dict(
        vocab=8192, layers=6, embed=256, ffn=704, heads=4, kv_heads=4, head_dim=64)),
    "B": Shape(rows=8, length=512, model=dict(
        vocab=16384, layers=8, embed=512, ffn=1408, heads=8, kv_heads=2, head_dim=64)),
    # 1.2 billion parameters; and eight layers of the width of Aquila2-7B, 2.4 billion. As many
    # sequences as leave room for both contestants in the 140 GiB of an H200.
    "1B": Shape(rows=7, length=4096, gpu=0.38, model=dict(
        vocab=100_008, layers=16, embed=2048, ffn=5632, heads=16, kv_heads=16, head_dim=128)),
    "7B": Shape(rows=3, length=4096, gpu=0.42, model=dict(
        vocab=100_008, layers=8, embed=4096, ffn=11008, heads=32, kv_heads=32, head_dim=128)),
}  # fmt: skip


def configuration(shape: Shape):
    """Model and batch as a configuration of the main job."""
    from aquila_jax.config import from_config_dict
    from configs import small

    config, change = from_config_dict(small.get_config()), dataclasses.replace
    train = change(config.train, batch=shape.rows, evaluate_every=0, checkpoint_every=0)
    model = change(config.model, qk_norm=False, unroll=shape.model["layers"], **shape.model)
    if shape.gpu:
        model = change(model, compute_dtype="bfloat16", loss_chunks=4)
    return change(
        config,
        model=model,
        prepare=change(config.prepare, vocab_size=shape.model["vocab"], clean=None),
        data=change(config.data, length=shape.length, store="{workdir}/../store"),
        schedule=change(config.schedule, warmup=shape.rows, total=shape.rows * 10**6),
        train=change(train, report_seconds=1e9, stall_seconds=1e9),
        evaluate=change(config.evaluate, heldout_tokens=1),
    )


def loop(shape: Shape, folder: Path) -> Contestant:
    """The whole main job: stream, step, signals, monitor, mentor, files."""
    import jax

    from aquila_jax.config import located
    from aquila_jax.core import sharding
    from aquila_jax.dmu.prepare import prepare
    from aquila_jax.train.run import Run

    config = configuration(shape)
    workdir = folder / "loop"
    place = located(config, workdir)
    prepare(place.prepare, place.data.store, report=lambda line: None)
    jax.set_mesh(sharding.make_mesh(dict(config.train.mesh)))
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


def step(shape: Shape, folder: Path) -> Contestant:
    """The compiled step alone, on one batch that stays on the device."""
    import jax
    import numpy as np

    from aquila_jax.ate.optimizer import neutral_control
    from aquila_jax.core import feed, sharding
    from aquila_jax.core.signals import Control
    from aquila_jax.train import ahead
    from aquila_jax.train.state import init_state
    from aquila_jax.train.step import train_step

    config = configuration(shape)
    mesh = sharding.make_mesh(dict(config.train.mesh))
    jax.set_mesh(mesh)
    program = ahead.program(config)
    state = init_state(program, jax.random.key(0))
    batch = random_batch(config.model.vocab, (1, shape.rows, shape.length))
    batch = feed.put(batch, mesh, shape.rows)
    control = neutral_control(config.optimizer, config.schedule, 0.0)
    control = jax.device_put(Control(*map(np.float32, control)))
    started = []

    def once() -> int:
        nonlocal state
        state, told = train_step(program, state, batch, control, statistics="light")
        started.append(told.loss)
        if len(started) > AHEAD:
            started.pop(0).block_until_ready()
        return shape.rows * shape.length

    return once, lambda: jax.block_until_ready(state)


def torch(shape: Shape, folder: Path, *, compiled: bool = False) -> Contestant:
    """transformers' Llama of the same shape with PyTorch's fused attention and fused AdamW."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size, device = shape.model, "cuda" if shape.gpu else "cpu"
    config = LlamaConfig(
        vocab_size=size["vocab"],
        hidden_size=size["embed"],
        intermediate_size=size["ffn"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        num_key_value_heads=size["kv_heads"],
        head_dim=size["head_dim"],
        max_position_embeddings=shape.length,
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation=causal_attention(),
    )
    with torch.device(device):
        model = LlamaForCausalLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    tokens = torch.randint(0, size["vocab"], (shape.rows, shape.length), device=device)
    started = []

    def forward():
        with torch.autocast(device, torch.bfloat16, enabled=bool(shape.gpu)):
            return model(input_ids=tokens, labels=tokens).loss

    forward = torch.compile(forward) if compiled else forward

    def once() -> int:
        optimizer.zero_grad(set_to_none=True)
        forward().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if shape.gpu:
            started.append(torch.cuda.Event())
            started[-1].record()
            if len(started) > AHEAD:
                started.pop(0).synchronize()
        return tokens.numel()

    return once, torch.cuda.synchronize if shape.gpu else lambda: None


def causal_attention() -> str:
    """The name under which transformers finds PyTorch's fused attention without a mask.

    Compiled, its own "sdpa" hands over a mask of all pairs, which takes three times as long on a GPU.
    """
    import torch
    from transformers import AttentionInterface

    def attend(module, query, key, value, *_, scaling, **__):
        grouped = query.shape[1] != key.shape[1]
        y = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        return y.transpose(1, 2).contiguous(), None

    AttentionInterface.register("causal", attend)
    return "causal"


torch_compiled = functools.partial(torch, compiled=True)
CPU = {"loop": loop, "step": step, "torch": torch, "torch_compiled": torch_compiled}
GPU = {"step": step, "torch_compiled": torch_compiled}
