import jax
import jax.numpy as jnp
import numpy as np

from aquila_jax.core.sharding import spec
from aquila_jax.model.rope import rope_table, rotate

B, L, H, K = 1, 12, 2, 8


def arrays():
    return jax.random.normal(jax.random.key(0), (2, B, L, H, K))


def test_scores_depend_on_the_distance_alone(mesh):
    x_BLHK, y_BLHK = arrays()
    x_BLHK, y_BLHK = (jnp.tile(z[:, :1], (1, L, 1, 1)) for z in (x_BLHK, y_BLHK))
    table = rope_table(jnp.arange(L)[None], K, 10000.0)
    scores_LM = np.einsum("BLHK,BMHK->LM", rotate(x_BLHK, table), rotate(y_BLHK, table))
    for distance in range(L):
        band = np.diagonal(scores_LM, distance)
        np.testing.assert_allclose(band, band[0], rtol=1e-4, atol=1e-4)
    assert np.std(scores_LM[0]) > 0.1


def test_a_pair_turns_by_position_times_its_frequency(mesh):
    x_BLHK = np.asarray(arrays()[0])
    turned = np.asarray(rotate(jnp.asarray(x_BLHK), rope_table(jnp.arange(L)[None], K, 100.0)))
    pairs, turned_pairs = (z[..., : K // 2] + 1j * z[..., K // 2 :] for z in (x_BLHK, turned))
    frequency = 100.0 ** (-np.arange(0, K, 2) / K)
    angle = np.arange(L)[:, None, None] * frequency[None, None]
    np.testing.assert_allclose(turned_pairs, pairs * np.exp(1j * angle)[None], rtol=1e-4, atol=1e-5)


def test_the_gradient_equals_the_automatic_one(mesh):
    layout = jax.NamedSharding(mesh, spec("BLHK"))
    x_BLHK, dy_BLHK = (jax.device_put(z, layout) for z in arrays())
    table = rope_table(jnp.arange(L)[None], K, 10000.0)
    automatic = jax.vjp(lambda x: rotate.__wrapped__(x, table), x_BLHK)[1](dy_BLHK)[0]
    found = jax.vjp(lambda x: rotate(x, table), x_BLHK)[1](dy_BLHK)[0]
    np.testing.assert_allclose(found, automatic, rtol=1e-5, atol=1e-6)


def test_a_position_beyond_the_table_is_not_silent(mesh):
    cos, _ = rope_table(jnp.array([[0, 1, 99]]), K, 10000.0)
    assert np.isnan(cos[0, 2]).all() and np.isfinite(cos[0, :2]).all()
