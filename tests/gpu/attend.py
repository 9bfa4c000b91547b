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


def plain(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """By whole products, which compile in a moment."""
    same = segment_ids_BL[:, :, None] == segment_ids_BL[:, None, :]
    causal = jnp.tri(segment_ids_BL.shape[1], dtype=bool)
    return jax.nn.dot_product_attention(
        q_BLHK, k_BLGK, v_BLGK, mask=(same & causal)[:, None], scale=1.0, implementation="xla"
    )


@functools.partial(jax.jit, static_argnums=0)
def result_and_gradients(apply, inputs, dy_BLHK, segment_ids_BL):
    y_BLHK, pull = jax.vjp(lambda *qkv: apply(*qkv, segment_ids_BL), *inputs)
    return y_BLHK, *pull(dy_BLHK)


def compare(case) -> list[float]:
    """Of the result and of the gradients of queries, keys and values, in the worst sequence."""
    B, L, H, G, K, documents = case
    random = np.random.default_rng(documents)
    segment_ids_BL = segments(random, B, L, documents)
    shapes = ((B, L, H, K), (B, L, G, K), (B, L, G, K), (B, L, H, K))
    *inputs, dy = [jnp.asarray(random.normal(0, 1, shape), jnp.bfloat16) for shape in shapes]
    inputs[0] = inputs[0] * K**-0.5
    layouts = tuple(sharding.spec(letters) for letters in ("BLHK", "BLGK", "BLGK", "BLHK", "BL"))
    placed = jax.sharding.reshard((*inputs, dy, jnp.asarray(segment_ids_BL)), layouts)
    kernels = functools.partial(attention, backend="cudnn")
    found = result_and_gradients(kernels, placed[:3], *placed[3:])
    errors = np.zeros(4)
    for row in range(B):  # one at a time: scores of all of them would be many
        one = [x[row : row + 1].astype(jnp.float32) for x in (*inputs, dy)]
        wanted = result_and_gradients(plain, one[:3], one[3], segment_ids_BL[row : row + 1])
        for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
            a = np.asarray(a[row], np.float32)
            away = np.linalg.norm(a - b[0]) / np.linalg.norm(b[0])
            errors[i] = np.fmax(errors[i], away if np.isfinite(away) else np.inf)
    return errors.tolist()


if __name__ == "__main__":
    jax.config.update("jax_default_matmul_precision", "highest")
    with jax.set_mesh(sharding.make_mesh({}, devices=jax.devices()[:1])):
        print(json.dumps([[case, compare(case)] for case in CASES]))
