"""cuDNN's attention against products in float32, on a GPU: prints relative errors as JSON."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np

from aquila_jax.core import sharding
from aquila_jax.model.attention import attention
from aquila_jax.model.packed import WORKSPACE

# B, L, H, G, K, and documents in a sequence: one program each, and the mask for the last.
CASES = [(2, 1024, 4, 2, 64, documents) for documents in (1, 3, 16, 100)]
CASES += [(1, 512, 8, 8, 128, 9), (3, 254, 4, 1, 32, 16)]
CASES += [(WORKSPACE // (16 * 2048 * 16 * 128), 2048, 16, 4, 128, 16)]  # the largest it is used for


def segments(random, rows: int, length: int, documents: int) -> np.ndarray:
    """`[B, L]`: every row has so many documents, one of a single token; the last row is padded."""
    rows_BL = []
    for _ in range(rows):
        cuts = random.choice(np.arange(2, length), documents - 1, replace=False)
        cuts[:1] = 1
        rows_BL.append(1 + np.cumsum(np.isin(np.arange(length), cuts)))
    segment_ids_BL = np.stack(rows_BL).astype(np.int32)
    segment_ids_BL[-1][segment_ids_BL[-1] == documents] = 0
    return segment_ids_BL


def compare(case) -> list[float]:
    """Of the result and of the gradients of queries, keys and values."""
    B, L, H, G, K, documents = case
    random = np.random.default_rng(documents)
    segment_ids_BL = segments(random, B, L, documents)
    shapes = ((B, L, H, K), (B, L, G, K), (B, L, G, K), (B, L, H, K))
    inputs = [jnp.asarray(random.normal(0, 1, shape), jnp.bfloat16) for shape in shapes]
    inputs[0] = inputs[0] * K**-0.5
    layouts = [sharding.spec(letters) for letters in ("BLHK", "BLGK", "BLGK", "BLHK", "BL")]

    @jax.jit
    def told(q_BLHK, k_BLGK, v_BLGK, dy_BLHK, segment_ids_BL):
        inputs = jax.sharding.reshard(
            (q_BLHK, k_BLGK, v_BLGK, dy_BLHK, segment_ids_BL), tuple(layouts)
        )
        backend = "cudnn" if q_BLHK.dtype == jnp.bfloat16 else "xla"
        apply = functools.partial(attention, segment_ids_BL=inputs[-1], backend=backend)
        y_BLHK, pull = jax.vjp(apply, *inputs[:3])
        return y_BLHK, *pull(inputs[3])

    found = told(*inputs, segment_ids_BL)
    errors = np.zeros(4)
    for row in range(B):  # one at a time: scores of all of them would be many
        exact = [x[row : row + 1].astype(jnp.float32) for x in inputs]
        wanted = told(*exact, segment_ids_BL[row : row + 1])
        for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
            away = jnp.linalg.norm(a[row].astype(jnp.float32) - b[0]) / jnp.linalg.norm(b[0])
            errors[i] = np.fmax(errors[i], away) if np.isfinite(away) else np.inf
    return errors.tolist()


if __name__ == "__main__":
    jax.config.update("jax_default_matmul_precision", "highest")
    with jax.set_mesh(sharding.make_mesh({}, devices=jax.devices()[:1])):
        print(json.dumps([[case, compare(case)] for case in CASES]))
