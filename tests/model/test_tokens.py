import jax
import numpy as np
import pytest

from aquila_jax.core.sharding import make_mesh, spec
from aquila_jax.model.tokens import join_tokens, split_tokens

B, L, D = 8, 8, 3


@pytest.mark.parametrize(
    "shape", [{}, {"data": 2, "fsdp": 2, "tensor": 2}, {"fsdp": 2, "context": 4}, {"context": 8}]
)
def test_tokens_are_joined_and_split_without_moving(shape):
    devices = jax.devices() if shape else jax.devices()[:1]
    mesh = make_mesh(shape, devices=devices)
    with jax.set_mesh(mesh):
        layout = jax.NamedSharding(mesh, spec("BLD"))
        x_BLD = jax.device_put(np.arange(B * L * D).reshape(B, L, D), layout)
        join = jax.jit(lambda x_BLD: join_tokens(x_BLD, "D")).lower(x_BLD).compile()
        x_TD = join(x_BLD)
        assert x_TD.shape == (B * L, D)
        assert sorted(np.asarray(x_TD)[:, 0]) == list(range(0, B * L * D, D))
        back_BL = jax.jit(lambda x_TD: split_tokens(x_TD[:, 0], (B, L))).lower(x_TD).compile()
        np.testing.assert_array_equal(back_BL(x_TD), x_BLD[:, :, 0])
        for program in (join, back_BL):
            text = program.as_text()
            assert "all-" not in text and "collective" not in text
