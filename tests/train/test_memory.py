"""What a user is told of a device that is full."""

import jax
import jax.numpy as jnp
import pytest

from aquila_jax import cli
from aquila_jax.train import loop, memory
from configs import tiny
from tests.train import small


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
def test_a_device_that_is_full_is_a_sentence_with_the_ways_out(tmp_path, monkeypatch, capsys):
    def train(*_, **__):
        jnp.zeros((1 << 50,), jnp.int8).block_until_ready()

    monkeypatch.setattr(loop, "train", train)
    assert cli.main(["train", "--config", tiny.__file__, "--workdir", str(tmp_path / "run")]) == 1
    told = capsys.readouterr().err
    for part in ("out of memory", "train.accumulate=1", "model.remat='", "train.mesh={", "batch="):
        assert part in told


@pytest.mark.parametrize("said", ["INTERNAL: a bug", "RESOURCE_EXHAUSTED: message is too long"])
def test_another_error_stays_what_it_is(tmp_path, said):
    with pytest.raises(jax.errors.JaxRuntimeError, match=said):
        with memory.told(small.config(tmp_path)):
            raise jax.errors.JaxRuntimeError(said)
