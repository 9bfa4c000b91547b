"""How TPU's compiler sums a weight's gradient over `fsdp`: left to itself, and as the model asks.

Run:      python launch/exchange_study.py     (no TPU; needs the extra `tpu`)
Hardware: any CPU
Time:     a few seconds of CPU a row; docs/results/pods.md
"""

import functools
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.plan import child

os.environ.update(child.ENVIRONMENT)  # before JAX is imported

import jax
import jax.numpy as jnp

from aquila_jax.core.sharding import WEIGHTS, make_mesh, spec
from aquila_jax.model.exchange import over_tokens
from aquila_jax.model.tokens import ROWS
from aquila_jax.plan import chips, hlo, measure, topology

EMBED, TOKENS = 4096, 512  # of Aquila2-7B, and on each device
CASES = (
    ("v5e-256", {"fsdp": 128, "tensor": 2}, 4096), ("v5e-256", {"fsdp": 128, "tensor": 2}, 11008),
    ("v5e-256", {"fsdp": 128, "tensor": 2}, 100032), ("v5e-256", {"data": 2, "fsdp": 128}, 11008),
    ("v5e-256", {"fsdp": 256}, 11008), ("v6e-256", {"fsdp": 128, "tensor": 2}, 11008),
    ("v5p-128", {"fsdp": 32, "tensor": 2}, 11008), ("v5p-128", {"data": 2, "fsdp": 32}, 11008),
    ("v5p-128", {"fsdp": 64}, 11008),
)  # fmt: skip


def left_alone(x, y):
    """The plain einsum, of which only the layout of the result is said."""
    layout = spec("DF", WEIGHTS)
    return jnp.einsum("TD,TF->DF", x, y, preferred_element_type=jnp.float32, out_sharding=layout)


asked = functools.partial(over_tokens, "TD,TF->DF", dtype=jnp.float32)


def exchanged(product, shape: dict[str, int], name: str, wide: int) -> str:
    """Kinds of collectives with the bytes into each device, over those of the whole gradient."""
    mesh = make_mesh(shape, topology.devices(chips.find(name)))
    tokens = TOKENS * shape.get("data", 1) * shape["fsdp"]
    operands = [
        jax.ShapeDtypeStruct(
            sizes, jnp.bfloat16, sharding=jax.NamedSharding(mesh, spec(axes, ROWS))
        )
        for axes, sizes in (("TD", (tokens, EMBED)), ("TF", (tokens, wide)))
    ]
    with jax.set_mesh(mesh):
        text = jax.jit(product).lower(*operands).compile().as_text()
    whole = 4 * EMBED * wide / shape.get("tensor", 1)
    rows = measure.collectives(hlo.parse(text), mesh)
    shown = [f"{row['kind']} {row['axes']} {row['bytes'] / whole:.2f}" for row in rows]
    return ", ".join(line for line in shown if not line.endswith(" 0.00"))


def main() -> int:
    """A table for Markdown."""
    print("| slice | mesh | gradient | left to itself | as asked |\n|---|---|---|---|---|")
    with topology.alone():
        for name, shape, wide in CASES:
            found = [exchanged(product, shape, name, wide) for product in (left_alone, asked)]
            axes = ", ".join(f"{axis}={size}" for axis, size in shape.items())
            print(f"| {name} | {axes} | [{EMBED}, {wide}] | {' | '.join(found)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
