import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.core import sharding
from aquila_jax.tsm.metrics import StepMetrics

A, B, L, M = 3, 8, 16, 5


@pytest.fixture
def micro_batches():
    """Nats, log Z squared, mask and domains of `A` micro-batches, with NaN under the mask."""
    rng = np.random.default_rng(0)
    mask = (rng.random((A, B, L)) < 0.7).astype(np.float32)
    mask[1] = 0
    nats = np.where(mask > 0, rng.gamma(2.0, 2.0, (A, B, L)), np.nan).astype(np.float32)
    log_z = np.where(mask > 0, rng.normal(10, 1, (A, B, L)) ** 2, np.inf).astype(np.float32)
    domains = rng.integers(0, M - 1, (A, B, L))  # the last domain stays empty
    return nats, log_z, mask, domains


def accumulate(nats_ABL, log_z_ABL, mask_ABL, domains_ABL):
    def body(total, micro):
        nats_BL, log_z_BL, mask_BL, domains_BL = micro
        metrics = StepMetrics.measure(
            nats_BL, log_z_BL, mask_BL, domain_ids_BL=domains_BL, domains=M
        )
        return total.merge(metrics), None

    arrays = (nats_ABL, log_z_ABL, mask_ABL, domains_ABL)
    return jax.lax.scan(body, StepMetrics.empty(M), arrays)[0].compute()


def reference(nats, log_z, mask, domains):
    seen = mask > 0
    sums = np.array([nats[seen & (domains == m)].sum() for m in range(M)])
    counts = np.array([(seen & (domains == m)).sum() for m in range(M)])
    return {
        "loss": nats[seen].mean(),
        "log_z_squared": log_z[seen].mean(),
        "domain_nats_M": sums,
        "domain_tokens_M": counts,
    }


@pytest.mark.parametrize("shape", [{}, {"data": 4, "fsdp": 2}, {"data": 2, "context": 4}])
def test_any_mesh_gives_the_sums_of_the_definition(micro_batches, shape):
    count = int(np.prod(list(shape.values()) or [1]))
    mesh = sharding.make_mesh(shape, devices=jax.devices()[:count])
    with jax.set_mesh(mesh):
        spec = jax.sharding.PartitionSpec(None, *sharding.spec("BL"))
        arrays = [jax.device_put(x, jax.NamedSharding(mesh, spec)) for x in micro_batches]
        seen = jax.jit(accumulate)(*arrays)
    for name, value in reference(*micro_batches).items():
        np.testing.assert_allclose(seen[name], value, rtol=2e-6)
        assert seen[name].sharding.is_fully_replicated


def test_merging_is_a_monoid(mesh, micro_batches):
    parts = [
        StepMetrics.measure(*micro[:3], domain_ids_BL=micro[3], domains=M)
        for micro in zip(*map(jnp.asarray, micro_batches), strict=True)
    ]
    left = parts[0].merge(parts[1]).merge(parts[2])
    right = parts[0].merge(parts[1].merge(parts[2]))
    with_empty = StepMetrics.empty(M).merge(parts[2])
    for one, other in ((left, right), (with_empty, parts[2])):
        for name in one.compute():
            np.testing.assert_allclose(one.compute()[name], other.compute()[name], rtol=1e-6)


def test_no_targets_at_all_cost_nothing(mesh):
    nothing = jnp.zeros((B, L))
    seen = StepMetrics.measure(
        nothing, nothing, nothing, domain_ids_BL=nothing.astype(int), domains=M
    ).compute()
    assert seen["loss"] == 0 and seen["domain_tokens_M"].sum() == 0
