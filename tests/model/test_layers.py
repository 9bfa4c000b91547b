import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from aquila_jax.core.sharding import WEIGHTS, make_mesh, spec
from aquila_jax.model.config import AQUILA2, ModelConfig
from aquila_jax.model.layers import Attention, product, rms_norm, vector
from aquila_jax.model.rope import rope_table
from aquila_jax.model.transformer import POLICIES, Transformer

CFG = ModelConfig(
    vocab=64, layers=2, embed=16, ffn=24, heads=4, kv_heads=2, head_dim=4,
    compute_dtype="float32", remat="none",
)  # fmt: skip
B, L = 2, 8


@pytest.fixture(scope="module", autouse=True)
def one_device():
    with jax.set_mesh(make_mesh({}, devices=jax.devices()[:1])) as mesh:
        yield mesh


def inputs():
    tokens_BL = jax.random.randint(jax.random.key(2), (B, L), 0, CFG.vocab)
    return tokens_BL, jnp.tile(jnp.arange(L), (B, 1)), jnp.ones((B, L), jnp.int32)


@jax.jit
def total(model):
    return jnp.sum(jnp.sin(model(*inputs())[0].astype(jnp.float32)))


def test_norms_start_at_their_weight_and_matrices_at_their_spread():
    cfg = dataclasses.replace(CFG, norm_init=0.3, init_std=0.0165, embed=128, qk_norm=True)
    model = jax.jit(lambda: Transformer(cfg, nnx.Rngs(0)))()
    attention = model.blocks.attention
    norms = [model.blocks.attention_norm, model.blocks.mlp_norm, model.final_norm]
    for norm in (*norms, attention.query_norm, attention.key_norm):
        np.testing.assert_array_equal(norm, np.float32(0.3))
    for matrix in (model.embed, model.unembed, model.blocks.mlp.down, attention.out):
        np.testing.assert_allclose(np.std(matrix), 0.0165, rtol=0.05)
    scaled = dataclasses.replace(cfg, layers=8, scaled_residual_init=True)
    model = jax.jit(lambda: Transformer(scaled, nnx.Rngs(0)))()
    for matrix in (model.blocks.mlp.down, model.blocks.attention.out):
        np.testing.assert_allclose(np.std(matrix), 0.0165 / 4, rtol=0.05)
    for matrix in (model.embed, model.blocks.mlp.up, model.blocks.attention.value):
        np.testing.assert_allclose(np.std(matrix), 0.0165, rtol=0.05)
    assert all(AQUILA2[size].scaled_residual_init for size in ("7b", "34b", "70b"))
    assert not np.allclose(model.blocks.mlp.up[0], model.blocks.mlp.up[1])
    assert [AQUILA2[size].norm_init for size in ("7b", "34b", "70b")] == [1, 0.3, 0.25]


def test_norm_multiplies_in_float32_before_the_cast():
    x_BLD = jax.random.normal(jax.random.key(0), (1, 64, 16)).astype(jnp.bfloat16)
    scale = jnp.linspace(0.2, 0.4, 16)
    exact = np.float32(x_BLD) / np.sqrt(np.mean(np.float32(x_BLD) ** 2, -1, keepdims=True) + 1e-5)
    found = rms_norm(x_BLD, nnx.Param(scale), 1e-5)
    assert found.dtype == jnp.bfloat16
    wanted = jnp.asarray(exact * np.asarray(scale)[None, None]).astype(jnp.bfloat16)
    assert np.mean(np.asarray(found == wanted)) > 0.99  # casting first: under 0.7


def test_weight_gradients_are_summed_in_float32():
    ones_BLD = jnp.ones((8, 125, CFG.embed), jnp.bfloat16, out_sharding=spec("BLD"))
    weight_DF = jnp.zeros((CFG.embed, CFG.ffn), out_sharding=spec("DF", WEIGHTS))
    # 1000 tokens of 1 + 1/128: bfloat16 would give the sum as 1008.
    gradient = jax.grad(lambda w: jnp.sum(product("BLD,DF->BLF", ones_BLD, w) * (1 + 1 / 128)))
    found_DF = gradient(weight_DF)
    assert found_DF.dtype == jnp.float32
    np.testing.assert_array_equal(found_DF, 1007.8125)


def test_qk_norm_makes_scores_blind_to_the_size_of_projections():
    cfg = dataclasses.replace(CFG, qk_norm=True)
    part = Attention(cfg, nnx.Rngs(0))
    larger = Attention(cfg, nnx.Rngs(0))
    larger.query = nnx.Param(7 * part.query[...])
    larger.key = nnx.Param(5 * part.key[...])
    x_BLD = 100 * jax.random.normal(jax.random.key(1), (B, L, cfg.embed))
    table = rope_table(inputs()[1], cfg.head_dim, cfg.rope_base)
    expected, found = part.project(x_BLD, table), larger.project(x_BLD, table)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    jax.tree.map(close, found, expected)
    q_BLHK = np.asarray(expected[0])
    np.testing.assert_allclose(np.sum(q_BLHK**2, axis=-1), 1, rtol=1e-3)  # K * (K**-0.5)**2


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_computed_again_changes_no_gradient(policy, gradients):
    again = dataclasses.replace(CFG, remat=policy, unroll=2)
    found = jax.jit(jax.grad(total))(make(again))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, jax.tree.leaves(found), jax.tree.leaves(gradients))


def make(cfg):
    return jax.jit(lambda: Transformer(dataclasses.replace(cfg, init_std=0.3), nnx.Rngs(0)))()


@pytest.fixture(scope="module")
def gradients(one_device):
    return jax.jit(jax.grad(total))(make(CFG))


def test_bfloat16_stays_close_and_keeps_float32_weights():
    half = dataclasses.replace(CFG, compute_dtype="bfloat16")
    found_BLD, _ = make(half)(*inputs())
    expected_BLD, _ = make(CFG)(*inputs())
    assert found_BLD.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(make(half))} == {jnp.dtype("float32")}
    error = np.asarray(found_BLD, np.float32) - np.asarray(expected_BLD)
    assert 0 < np.sqrt(np.mean(error**2)) < 0.03 * np.sqrt(np.mean(np.square(expected_BLD)))


def test_a_vector_over_the_embedding_is_whole_on_each_device():
    with jax.set_mesh(make_mesh({"fsdp": 4, "tensor": 2})):
        norm_D = jax.jit(lambda: vector(CFG, "D", 1.0))()
        assert norm_D[...].sharding.is_fully_replicated
