import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.core import sharding, trees

TREE = {
    "a": np.linspace(-3, 3, 64, dtype=np.float32).reshape(8, 8),
    "b": np.arange(5, dtype=np.int32),
}


@pytest.mark.parametrize("bit", [0, 7, 31])
def test_any_flipped_bit_shows(mesh, bit):
    words = TREE["a"].view(np.uint32).copy()
    words[3, 4] ^= np.uint32(1 << bit)
    flipped = TREE | {"a": words.view(np.float32)}
    assert trees.fingerprint(flipped) != trees.fingerprint(TREE)


def test_the_mesh_does_not_change_it():
    mesh = sharding.make_mesh({"fsdp": 4, "tensor": 2})
    with jax.set_mesh(mesh):
        layout = jax.sharding.NamedSharding(mesh, jax.P("fsdp", "tensor"))
        spread = TREE | {"a": jax.device_put(jnp.asarray(TREE["a"]), layout)}
        assert trees.fingerprint(spread) == trees.fingerprint(TREE)
