"""Every attention backend through the one door: the same answer, and no document sees another."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.core import sharding
from aquila_jax.model import cudnn, splash
from aquila_jax.model.attention import attention

B, L, H, G, K = 2, 256, 4, 2, 128
MESHES = {
    "xla": {"fsdp": 2, "tensor": 2, "context": 2},
    "splash": {"tensor": 2, "context": 2},
    "cudnn": {"fsdp": 2, "tensor": 2, "context": 2},
    "ring": {"tensor": 2, "context": 4},
}
SEGMENTS_BL = np.repeat([[1, 2, 3, 0], [1, 1, 1, 2]], L // 4, axis=1).astype(np.int32)


def arrays(seed: int = 0):
    random = np.random.default_rng(seed)
    shapes = ((B, L, H, K), (B, L, G, K), (B, L, G, K))
    return [random.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]


@functools.partial(jax.jit, static_argnums=4)
def forward_and_backward(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL, backend):
    def total(*inputs):
        y_BLHK = attention(*inputs, segment_ids_BL, backend=backend)
        return jnp.sum(jnp.sin(y_BLHK)), y_BLHK

    gradients, y_BLHK = jax.grad(total, argnums=(0, 1, 2), has_aux=True)(q_BLHK, k_BLGK, v_BLGK)
    return y_BLHK, *gradients


def run(backend: str, shape: dict[str, int], inputs):
    """Result and gradients on a mesh, as numpy."""
    count = int(np.prod(list(shape.values())))
    mesh = sharding.make_mesh(shape, devices=jax.devices()[:count])
    with jax.set_mesh(mesh):
        axes = ("BLHK", "BLGK", "BLGK", "BL")
        layouts = [jax.NamedSharding(mesh, sharding.spec(letters)) for letters in axes]
        placed = jax.device_put((*inputs, SEGMENTS_BL), tuple(layouts))
        return [np.asarray(x) for x in forward_and_backward(*placed, backend)]


@pytest.fixture(scope="module")
def expected():
    """XLA's on one device, which is tested against PyTorch's."""
    return run("xla", {"data": 1}, arrays())


@pytest.fixture(scope="module", params=MESHES)
def backend(request):
    """A backend and what it makes of the inputs on its mesh."""
    return request.param, run(request.param, MESHES[request.param], arrays())


def test_all_backends_on_all_their_axes_agree(backend, expected):
    for name, found, wanted in zip(("y", "dq", "dk", "dv"), backend[1], expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4, err_msg=name)


def test_no_document_sees_another(backend):
    """Other keys and values in the second document change nothing outside of it."""
    name, before = backend
    q_BLHK, k_BLGK, v_BLGK = arrays()
    _, other_k, other_v = arrays(seed=1)
    second = (SEGMENTS_BL == 2)[:, :, None, None]
    inputs = (q_BLHK, np.where(second, other_k, k_BLGK), np.where(second, other_v, v_BLGK))
    after = run(name, MESHES[name], inputs)
    inside = SEGMENTS_BL == 2
    for was, is_ in zip(before, after, strict=True):
        np.testing.assert_array_equal(was[~inside], is_[~inside])
        assert np.abs(was[inside] - is_[inside]).max() > 0.01


def test_the_platform_picks_its_kernel_where_the_kernel_fits(mesh):
    assert splash.fits(4096, 128)
    assert not splash.fits(4096, 64) and not splash.fits(4096 // 64, 128)
    assert cudnn.fits("bfloat16", 128, 256) and not cudnn.fits("bfloat16", 128, 255)
    assert not cudnn.fits("float32", 128, 256) and not cudnn.fits("bfloat16", 256, 256)
    q_BLHK = jnp.zeros((1, 256, 2, 128))
    by_choice = jax.make_jaxpr(functools.partial(attention, backend="auto"))
    plain = jax.make_jaxpr(functools.partial(attention, backend="xla"))
    inputs = (q_BLHK, q_BLHK, q_BLHK, jnp.ones((1, 256), jnp.int32))
    assert str(by_choice(*inputs)) == str(plain(*inputs))  # the tests run on CPU


def test_heads_that_the_kernel_cannot_tile_are_refused(mesh):
    q_BLHK = jnp.zeros((1, 256, 2, 64))
    with pytest.raises(ValueError, match=r"head_dim=64.*multiples of 128.*attention='xla'"):
        attention(q_BLHK, q_BLHK, q_BLHK, jnp.ones((1, 256), jnp.int32), backend="splash")


@pytest.mark.parametrize(
    ("dtype", "length", "message"),
    [("float32", 256, "half precision"), ("bfloat16", 255, "255 tokens.*even number.*'xla'")],
)
def test_what_cudnn_refuses_is_told_in_a_sentence(mesh, monkeypatch, dtype, length, message):
    monkeypatch.setattr(cudnn, "platform", lambda: "gpu")
    q_BLHK = jnp.zeros((1, length, 2, 64), dtype)
    with pytest.raises(ValueError, match=message):
        attention(q_BLHK, q_BLHK, q_BLHK, jnp.ones((1, length), jnp.int32), backend="cudnn")
