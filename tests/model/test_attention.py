import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from aquila_jax.core.sharding import spec
from aquila_jax.model.attention import attention
from aquila_jax.model.dense import block_bounds, logit_max

H, G, K = 4, 2, 8


def case(mesh, rows, length):
    keys = jax.random.split(jax.random.key(0), 3)
    q_BLHK = jax.random.normal(keys[0], (rows, length, H, K))
    k_BLGK, v_BLGK = (jax.random.normal(key, (rows, length, G, K)) for key in keys[1:])
    ends = np.array([[length // 3, length - 5], [length // 2, length], [2, 4]])[:rows]
    segments_BL = np.sum(np.arange(length)[None, :, None] >= ends[:, None, :], axis=-1) + 1
    segments_BL[segments_BL == 3] = 0
    arrays = (q_BLHK, k_BLGK, v_BLGK, segments_BL.astype(np.int32))
    layouts = [jax.NamedSharding(mesh, spec(axes)) for axes in ("BLHK", "BLGK", "BLGK", "BL")]
    return jax.device_put(arrays, tuple(layouts))


def by_torch(q_BLHK, k_BLGK, v_BLGK, segments_BL):
    """PyTorch's attention with the mask written out: result, three gradients, largest score."""
    arrays = [torch.tensor(np.asarray(x), requires_grad=True) for x in (q_BLHK, k_BLGK, v_BLGK)]
    q, k, v = (x.transpose(1, 2) for x in arrays)
    segments = torch.tensor(np.asarray(segments_BL))
    seen = (segments[:, :, None] == segments[:, None, :]).tril()[:, None]
    y = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=seen, scale=1.0, enable_gqa=True
    ).transpose(1, 2)
    torch.sin(y).sum().backward()
    scores = q @ k.repeat_interleave(H // G, dim=1).transpose(2, 3)
    largest = scores.masked_fill(~seen, -torch.inf).max()
    return [x.detach().numpy() for x in (y, *(x.grad for x in arrays), largest)]


@jax.jit
def by_us(*arrays, segments_BL):
    def total(*arrays):
        y_BLHK = attention(*arrays, segments_BL, backend="xla")
        return jnp.sum(jnp.sin(y_BLHK)), y_BLHK

    gradients, y_BLHK = jax.grad(total, argnums=(0, 1, 2), has_aux=True)(*arrays)
    return y_BLHK, *gradients, logit_max(*arrays[:2], segments_BL)


@pytest.mark.parametrize(("rows", "length"), [(1, 17), (2, 300), (3, 17), (3, 300)])
def test_blocks_of_queries_equal_pytorchs_attention(mesh, rows, length):
    *arrays, segments_BL = case(mesh, rows, length)
    expected = by_torch(*arrays, segments_BL)
    found = by_us(*arrays, segments_BL=segments_BL)
    for name, x, y in zip(("y", "dq", "dk", "dv", "largest"), found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5, err_msg=name)


def test_blocks_cover_every_query_once(mesh):
    for length in (1, 128, 129, 300, 4096, 5000):
        bounds = block_bounds(length)
        assert [first for first, _ in bounds[1:]] == [end for _, end in bounds[:-1]]
        assert bounds[0][0] == 0 and bounds[-1][1] == length and len(bounds) <= 8
