"""A tiny configuration with heads as wide as TPU's kernels want them."""

import dataclasses

import pytest

from aquila_jax.ate.optimizer import OptimizerConfig
from aquila_jax.config import Config
from aquila_jax.config_file import load_config
from aquila_jax.model.config import ModelConfig


@pytest.fixture(scope="session")
def tiny() -> Config:
    with pytest.warns(DeprecationWarning, match="load_module"):
        config = load_config("configs/tiny.py", [])
    model = ModelConfig(
        vocab=500, layers=3, embed=256, ffn=512, heads=4, kv_heads=2, head_dim=128, loss_chunks=2,
    )  # fmt: skip
    train = dataclasses.replace(config.train, batch=16, accumulate=2, mesh={"fsdp": -1})
    data = dataclasses.replace(config.data, length=256)
    return dataclasses.replace(
        config, model=model, train=train, data=data, optimizer=OptimizerConfig()
    )
