"""What cuDNN's kernels are told, held by kernels of plain products that read it as JAX documents it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.model import packed

B, L, H, G, K = 3, 24, 4, 2, 8
CALLS = (
    "fmhaSoftmax",
    "fmhaScaleBiasSoftmax",
    "fmhaSoftmaxBackward",
    "fmhaScaleBiasSoftmaxBackward",
)


def documents_of(starts_BM, lengths_BM):
    """`[B, L]`: which document each token is of."""
    starts_BM = starts_BM[:, : lengths_BM.shape[1]]
    token = jnp.arange(L)[None, :, None]
    inside = (token >= starts_BM[:, None]) & (token < (starts_BM + lengths_BM)[:, None])
    return jnp.argmax(inside & (lengths_BM[:, None] > 0), axis=2)


def products(q_BLHK, k_BLGK, v_BLGK, bias_BHLM, document_BL):
    """Attention that is causal, within documents, and biased."""
    k_BLHK, v_BLHK = (jnp.repeat(x, H // G, axis=2) for x in (k_BLGK, v_BLGK))
    scores = jnp.einsum("blhk,bmhk->bhlm", *(x.astype(jnp.float32) for x in (q_BLHK, k_BLHK)))
    visible = document_BL[:, :, None] == document_BL[:, None, :]
    visible &= jnp.tri(L, dtype=bool)[None]
    scores = jnp.where(visible[:, None], scores + bias_BHLM.astype(jnp.float32), -jnp.inf)
    return jnp.einsum("bhlm,bmhk->blhk", jax.nn.softmax(scores), v_BLHK.astype(jnp.float32))


def told(bias, q_seqlen, q_offsets, mask_type):
    """What `products` needs, from what a kernel is given."""
    if mask_type == packed.cudnn.MaskType.PADDING_CAUSAL:
        return jnp.zeros((1, 1, 1, 1)), documents_of(q_offsets, q_seqlen)
    biased = bias.ndim == 4
    return bias if biased else jnp.zeros((1, 1, 1, 1)), jnp.zeros((B, L), jnp.int32)


def forward_kernel(
    query, key, value, bias, q_seqlen, kv_seqlen, q_offsets, kv_offsets,
    page_table_k, page_table_v, scale, mask_type, variadic_args,
):  # fmt: skip
    assert scale == 1.0 and variadic_args == (bias.ndim == 4, False)
    assert q_seqlen is kv_seqlen and q_offsets is kv_offsets
    seen = told(bias, q_seqlen, q_offsets, mask_type)
    y_BLHK = products(query, key, value, *seen).astype(query.dtype)
    log_z = jnp.full((B * max(q_seqlen.shape[-1], 1), H, L), 7.0)
    arrays = (query, key, value, bias, q_seqlen, kv_seqlen, q_offsets, kv_offsets)
    return y_BLHK, (*arrays, page_table_k, page_table_v, log_z, y_BLHK)


def backward_kernel(mask_type, res, grad_output):
    *inputs, bias, q_seqlen, _, q_offsets, _, _, _, log_z, y_BLHK = res
    assert log_z.shape == (B * max(q_seqlen.shape[-1], 1), H, L)
    seen = told(bias, q_seqlen, q_offsets, mask_type)
    wanted, pull = jax.vjp(lambda *qkv: products(*qkv, *seen), *inputs)
    away = jnp.max(jnp.abs(wanted - y_BLHK.astype(jnp.float32))) + jnp.max(jnp.abs(log_z - 7.0))
    grads = pull(grad_output.astype(jnp.float32))
    return *(jnp.where(away < 0.1, grad, jnp.nan) for grad in grads), None


@pytest.fixture
def kernels(monkeypatch):
    monkeypatch.setattr(packed, "FORWARD", forward_kernel)
    monkeypatch.setattr(packed.cudnn, "_dot_product_attention_bwd_rule", backward_kernel)
    on_hopper(monkeypatch)


def on_hopper(monkeypatch):
    monkeypatch.setattr(packed.cudnn, "check_cudnn_version", lambda: 91900)
    monkeypatch.setattr(packed.cudnn, "check_compute_capability", lambda least: True)


def segments(documents: int) -> np.ndarray:
    """Rows of that many documents and fewer; the last document of the last row is padding."""
    random = np.random.default_rng(documents)
    rows = []
    for count in (1, max(documents // 2, 1), documents):
        cuts = random.choice(np.arange(1, L), count - 1, replace=False)
        rows.append(1 + np.cumsum(np.isin(np.arange(L), cuts)))
    segment_ids_BL = np.stack(rows).astype(np.int32)
    segment_ids_BL[-1][segment_ids_BL[-1] == documents] = 0
    return segment_ids_BL


@pytest.mark.parametrize("documents", [1, 2, 4, 5, 16, 17, 24])
def test_result_and_gradients_are_those_within_documents(kernels, documents):
    random = np.random.default_rng(0)
    shapes = ((B, L, H, K), (B, L, G, K), (B, L, G, K), (B, L, H, K))
    *qkv, dy = [jnp.asarray(random.normal(0, 1, shape), jnp.bfloat16) for shape in shapes]
    segment_ids_BL = segments(documents)
    plain = lambda *qkv: products(*qkv, jnp.zeros((1, 1, 1, 1)), segment_ids_BL)  # noqa: E731
    wanted, pull = jax.vjp(plain, *qkv)
    found, push = jax.vjp(lambda *qkv: packed.packed_attention(*qkv, segment_ids_BL), *qkv)
    pairs = [(found, wanted), *zip(push(dy), pull(dy.astype(jnp.float32)), strict=True)]
    for a, b in pairs:
        np.testing.assert_allclose(np.float32(a), np.float32(b), rtol=0.02, atol=0.02)


def test_a_kernel_is_told_of_each_document_once():
    segment_ids_BL = np.array([[1, 1, 2, 3, 3, 3, 0, 0], [1] * 8], np.int32)
    starts, lengths = packed.places(segment_ids_BL, 4)
    assert starts.tolist() == [[0, 2, 3, 6, -1], [0, -1, -1, -1, -1]]
    assert lengths.tolist() == [[2, 1, 3, 2], [8, -1, -1, -1]]


def test_programs_end_where_their_scratch_would_be_too_large(monkeypatch):
    on_hopper(monkeypatch)
    assert packed.programs((4, 4096, 16, 128)) == (1, 4, 16, packed.MASK)
    assert packed.programs((16, 4096, 16, 128)) == (1, 4, packed.MASK)
    assert packed.programs((128, 4096, 16, 128)) == (1, packed.MASK)
    monkeypatch.setattr(packed.cudnn, "check_compute_capability", lambda least: False)
    assert packed.programs((4, 4096, 16, 128)) == (1, packed.MASK)


def test_jax_still_has_the_kernels_that_are_called(monkeypatch):
    """Lowered for a GPU, which needs none: one pair of calls for each program."""
    on_hopper(monkeypatch)
    shapes = ((2, 256, 4, 64), (2, 256, 2, 64), (2, 256, 2, 64))
    inputs = [jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in shapes]
    inputs.append(jax.ShapeDtypeStruct((2, 256), jnp.int32))
    total = lambda *x: jnp.sum(packed.packed_attention(*x).astype(jnp.float32))  # noqa: E731
    known = [jax.export.DisabledSafetyCheck.custom_call(f"__cudnn${name}") for name in CALLS]
    export = jax.export.export(jax.jit(jax.grad(total)), platforms=["cuda"], disabled_checks=known)
    text = export(*inputs).mlir_module()
    assert [text.count(f"__cudnn${name}(") for name in CALLS] == [3, 1, 3, 1]
