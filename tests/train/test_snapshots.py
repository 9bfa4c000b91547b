import functools

import jax
import jax.numpy as jnp
import numpy as np

from aquila_jax.core import sharding
from aquila_jax.train.cycle import Moment
from aquila_jax.train.snapshots import Ring


class Host:
    def __init__(self, step):
        self.step = step


def state_on(mesh, step):
    """A sharded, a replicated and a scalar array."""
    key = jax.random.key(step)
    put = lambda x, axes: jax.device_put(x, jax.sharding.NamedSharding(mesh, axes))  # noqa: E731
    split, whole = sharding.spec("DF", sharding.WEIGHTS), jax.sharding.PartitionSpec()
    weights = jax.random.normal(key, (8, 16))
    return {
        "split": put(weights, split),
        "whole": put(weights[0], whole),
        "step": put(jnp.int32(step), whole),
    }


@functools.partial(jax.jit, donate_argnums=0)
def go_on(state):
    return jax.tree.map(lambda x: x + 1, state)


def test_a_moment_comes_back_bit_for_bit_and_laid_out_as_it_was():
    mesh = sharding.make_mesh({"data": 2, "fsdp": 2, "tensor": 2})
    ring = Ring(2)
    state = state_on(mesh, 0)
    expected = jax.tree.map(lambda x: np.array(x, copy=True), state)
    layout = jax.tree.map(lambda x: x.sharding, state)
    ring.keep(Moment(state, Host(0), ()))
    go_on(state)  # its memory is used again
    for _ in range(2):  # as often as asked
        found = ring.find(0).state
        jax.tree.map(np.testing.assert_array_equal, found, expected)
        assert jax.tree.map(lambda x: x.sharding, found) == layout
        go_on(found)


def test_only_the_newest_are_kept_and_a_left_timeline_is_forgotten(mesh):
    ring = Ring(3)
    for step in (0, 10, 20, 30):
        ring.keep(Moment(state_on(mesh, step), Host(step), ()))
    assert ring.find(0) is None and int(ring.find(10).state["step"]) == 10
    ring.forget_after(10)
    assert ring.find(20) is None and ring.find(10) is not None
    ring.keep(Moment(state_on(mesh, 5), Host(10), ()))  # the same step in a new timeline
    assert int(ring.find(10).state["step"]) == 5
    assert len(ring.moments) == 1
