"""The mesh changes no sum over tokens, and TPU's compiler scatters it."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.core.sharding import WEIGHTS, make_mesh, spec
from aquila_jax.model.exchange import over_tokens
from aquila_jax.model.tokens import ROWS
from aquila_jax.plan import child, chips, hlo, measure, topology

SIZE = {"T": 64, "D": 16, "F": 12, "H": 4, "K": 3, "V": 20}
EQUATIONS = ("TD,TF->DF", "TD,THK->DHK", "TD,THK->HKD", "VT,TD->VD")
MESHES = ({"fsdp": 8}, {"data": 2, "fsdp": 4}, {"fsdp": 2, "tensor": 2, "context": 2}, {"data": 8})


@pytest.mark.parametrize("shape", MESHES, ids=lambda shape: "-".join(shape))
@pytest.mark.parametrize("equation", EQUATIONS)
def test_the_mesh_changes_no_sum(equation, shape):
    operands, out = equation.split("->")
    random = np.random.default_rng(0)
    x, y = (random.normal(size=[SIZE[a] for a in axes]) for axes in operands.split(","))
    mesh = make_mesh(shape)
    with jax.set_mesh(mesh):
        placed = [
            jax.device_put(value, jax.NamedSharding(mesh, spec(axes, ROWS)))
            for value, axes in zip((x, y), operands.split(","), strict=True)
        ]
        found = jax.jit(lambda x, y: over_tokens(equation, x, y, dtype=jnp.float32))(*placed)
        assert found.dtype == jnp.float32
        assert found.sharding.spec == spec(out, WEIGHTS)
    np.testing.assert_allclose(found, np.einsum(equation, x, y), rtol=1e-4, atol=1e-4)


def kinds(equation: str, shape: dict[str, int], sizes: dict[str, int], name: str) -> dict:
    """Bytes into each device by kind of collective, as compiled for the slice `name`."""
    with topology.alone():
        mesh = make_mesh(shape, topology.devices(chips.find(name)))
        operands = [
            jax.ShapeDtypeStruct(
                [sizes[a] for a in axes], jnp.bfloat16,
                sharding=jax.NamedSharding(mesh, spec(axes, ROWS)),
            )
            for axes in equation.partition("->")[0].split(",")
        ]  # fmt: skip
        with jax.set_mesh(mesh):
            summed = jax.jit(lambda x, y: over_tokens(equation, x, y, dtype=jnp.float32))
            text = summed.lower(*operands).compile().as_text()
    rows = measure.collectives(hlo.parse(text), mesh)
    return {row["kind"]: row["bytes"] for row in rows if row["axes"] == "fsdp"}


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
@pytest.mark.parametrize(
    ("equation", "wide"), [("TD,TF->DF", {"F": 11008}), ("VT,TD->VD", {"V": 100032})]
)
def test_tpus_compiler_scatters_shapes_that_it_would_sum_whole(equation, wide):
    shape, sizes = {"fsdp": 128, "tensor": 2}, {"T": 128 * 64, "D": 4096} | wide
    found = child.call(kinds, equation, shape, sizes, "v5e-256", say=print)
    whole = 4 * sizes["D"] * next(iter(wide.values())) / 2
    # It pads each part to whole tiles; what is summed whole costs twice as much.
    assert found["reduce-scatter"] == pytest.approx(whole * 127 / 128, rel=0.1)
    assert "all-reduce" not in found
