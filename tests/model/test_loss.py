import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.core.sharding import WEIGHTS, spec
from aquila_jax.model.loss import cross_entropy

B, L, D, VOCAB, PADDED = 2, 13, 8, 50, 64


@pytest.fixture
def case(mesh):
    keys = jax.random.split(jax.random.key(0), 4)
    hidden_BLD = jax.random.normal(keys[0], (B, L, D))
    unembed_VD = jax.random.normal(keys[1], (PADDED, D))
    targets_BL = jax.random.randint(keys[2], (B, L), 0, VOCAB)
    weights_BL = (jax.random.uniform(keys[3], (B, L)) > 0.3) / 7.0
    arrays = (hidden_BLD, unembed_VD, targets_BL, weights_BL)
    specs = (spec("BLD"), spec("VD", WEIGHTS), spec("BL"), spec("BL"))
    return jax.device_put(arrays, tuple(jax.NamedSharding(mesh, layout) for layout in specs))


def dense(hidden_BLD, unembed_VD, targets_BL, weights_BL, z_loss):
    logits_BLV = jnp.einsum("BLD,VD->BLV", hidden_BLD, unembed_VD[:VOCAB])
    log_z_BL = jax.nn.logsumexp(logits_BLV, axis=-1)
    hits_BLV = targets_BL[:, :, None] == jnp.arange(VOCAB)[None, None]
    nats_BL = log_z_BL - jnp.max(logits_BLV, axis=-1, where=hits_BLV, initial=-jnp.inf)
    objective = jnp.sum(weights_BL * (nats_BL + z_loss * log_z_BL**2))
    largest = jnp.max(logits_BLV, axis=-1, where=weights_BL[:, :, None] > 0, initial=-jnp.inf)
    return objective, (nats_BL, log_z_BL, jnp.max(largest))


def chunked(hidden_BLD, unembed_VD, targets_BL, weights_BL, z_loss, chunks):
    loss = cross_entropy(
        hidden_BLD,
        unembed_VD,
        targets_BL,
        weights_BL,
        z_loss=z_loss,
        vocab=VOCAB,
        chunks=chunks,
    )
    return loss.objective, loss[1:]


@pytest.mark.parametrize("chunks", [1, 4, 13, 20])
def test_chunks_change_neither_value_nor_gradients(case, chunks):
    gradients = functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    expected = jax.jit(gradients(dense))(*case, 0.01)
    found = jax.jit(gradients(functools.partial(chunked, chunks=chunks)))(*case, 0.01)
    padded = jnp.zeros((PADDED - VOCAB, D))
    np.testing.assert_array_equal(found[1][1][VOCAB:], padded)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6), found, expected
    )


def test_without_gradients_the_same_numbers_come_out(case):
    alone = jax.jit(functools.partial(chunked, chunks=4))(*case, 0.01)
    expected = jax.jit(dense)(*case, 0.01)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6), alone, expected
    )


def test_gradients_follow_what_multiplies_the_objective(case):
    def thrice(hidden_BLD, *rest):
        return 3 * chunked(hidden_BLD, *rest, chunks=4)[0]

    expected_BLD = jax.grad(lambda *arguments: dense(*arguments)[0])(*case, 0.0)
    np.testing.assert_allclose(jax.grad(thrice)(*case, 0.0), 3 * expected_BLD, rtol=2e-5, atol=2e-6)


def test_bfloat16_hidden_states_keep_float32_losses(case):
    hidden_BLD, *rest = case
    gradients = jax.value_and_grad(functools.partial(chunked, chunks=4), (0, 1), has_aux=True)
    (objective, (nats_BL, *_)), (d_hidden_BLD, d_unembed_VD) = jax.jit(gradients)(
        hidden_BLD.astype(jnp.bfloat16), *rest, 0.0
    )
    assert nats_BL.dtype == d_unembed_VD.dtype == jnp.float32
    assert d_hidden_BLD.dtype == jnp.bfloat16
    np.testing.assert_allclose(objective, dense(*case, 0.0)[0], rtol=0.01)
