"""A tiny program and its batches, shared so that each step compiles once."""

import jax
import numpy as np
import pytest

from aquila_jax.ate.optimizer import OptimizerConfig, neutral_control
from aquila_jax.ate.schedules import Schedule
from aquila_jax.core.signals import Batch, Control
from aquila_jax.model.config import ModelConfig
from aquila_jax.train.state import Program
from tests.train import eventful, small

MODEL = ModelConfig(
    vocab=128, layers=2, embed=32, ffn=64, heads=4, kv_heads=2, head_dim=8,
    compute_dtype="float32", loss_chunks=2,
)  # fmt: skip
PROGRAM = Program(
    model=MODEL,
    optimizer=OptimizerConfig(),
    schedule=Schedule(kind="wsd", peak=1e-2, warmup=16, total=800),
    domains=3,
)


@pytest.fixture(scope="session")
def program() -> Program:
    return PROGRAM


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder with a small prepared store, in which runs live side by side."""
    folder = tmp_path_factory.mktemp("small")
    small.make_store(folder)
    return folder


@pytest.fixture(scope="session")
def new(runs):
    """A store that can join the runs of `runs`."""
    return eventful.make_new(runs / "new", runs)


@pytest.fixture(scope="session")
def eventful_run(runs, new):
    """See `eventful.make`."""
    return eventful.make(runs, new)


def neutral(program: Program, **changes: float) -> Control:
    """The plan's control as arrays, with changes."""
    control = neutral_control(program.optimizer, program.schedule, 0.0)._replace(**changes)
    return Control(*map(np.float32, control))


def make_batch(seed: int = 0, *, accumulate: int = 1, rows: int = 8, length: int = 16) -> Batch:
    """Learnable text: each row counts up from a random start, in two documents."""
    rng = np.random.default_rng(seed)
    start = rng.integers(1, 60, (accumulate, rows, 1))
    run = (start + np.arange(length + 1)).astype(np.int32)
    tokens, targets = run[..., :-1], run[..., 1:]
    half = np.arange(length) >= length // 2
    mask = np.ones_like(tokens, np.float32)
    mask[..., length // 2 - 1] = 0  # the last token of the first document has no target
    return Batch(
        tokens=tokens,
        targets=targets,
        segment_ids=np.broadcast_to(1 + half, tokens.shape).astype(np.int32),
        positions=np.broadcast_to(np.arange(length) % (length // 2), tokens.shape).astype(np.int32),
        loss_mask=mask,
        domain_ids=np.broadcast_to((np.arange(rows) % 3)[None, :, None], tokens.shape).astype(
            np.int32
        ),
    )


def on_device(batch: Batch, mesh: jax.sharding.Mesh) -> Batch:
    from aquila_jax.core import feed

    return feed.put(batch, mesh, batch.tokens.shape[1])
