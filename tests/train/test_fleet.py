"""Hosts side by side: which is slow, whose clock is off, whose weights are not the others'."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.core import sharding
from aquila_jax.train import fleet
from aquila_jax.train.fleet import Corrupted, Fleet


def spread(mesh, axes, flip: int | None = None) -> jax.Array:
    """An array on `mesh`, one bit of which is other in the copy of device number `flip`."""
    layout = jax.sharding.NamedSharding(mesh, axes)
    whole = np.arange(64, dtype=np.float32).reshape(8, 8)
    shards = []
    for device, index in layout.addressable_devices_indices_map(whole.shape).items():
        part = whole[index].copy()
        if flip == device.id:
            part.view(np.uint32)[0, 3] ^= 1 << 7
        shards.append(jax.device_put(part, device))
    return jax.make_array_from_single_device_arrays(whole.shape, layout, shards)


MESHES = {"copies": ({"data": 8}, None), "shards of copies": ({"data": 4, "fsdp": 2}, "fsdp")}


@pytest.mark.parametrize(("shape", "axis"), MESHES.values(), ids=MESHES)
def test_one_flipped_bit_in_one_copy_is_found(shape, axis):
    mesh = sharding.make_mesh(shape)
    with jax.set_mesh(mesh):
        state = {"step": jnp.int32(3), "w": spread(mesh, jax.P(axis))}
        told = Fleet().survey(state)
        assert told["slow"] == told["clock_off"] == [] and len(told["hosts"]) == 1
        with pytest.raises(Corrupted, match="silent corruption. Nothing was saved"):
            Fleet().survey(state | {"w": spread(mesh, jax.P(axis), flip=5)})


def test_the_device_and_its_host_are_named():
    sound = {str(i): 7 for i in range(4)}
    fleet.require_equal([sound, {"4": 7}])
    with pytest.raises(Corrupted, match=r"on devices 5 \(hosts \[1\]\) differ .* on 5 others"):
        fleet.require_equal([sound, {"4": 7, "5": 8}])


def row(data=0.0, probe=0.01, clock=1e9) -> dict:
    return {"data": data, "probe": probe, "clock": clock}


@pytest.mark.parametrize(
    ("rows", "slow", "off"),
    [
        ([row(), row(), row()], [], []),
        ([row(), row(probe=0.05), row()], [1], []),
        ([row(), row(), row(), row(data=3.0)], [3], []),
        ([row(probe=0.012), row(probe=0.01)], [], []),  # too little to matter
        ([row(), row(clock=1e9 + 30), row(clock=1e9 - 0.1)], [], [1]),
        ([row()], [], []),
    ],
)
def test_who_stands_out(rows, slow, off):
    assert fleet.remarks(rows) == {"slow": slow, "clock_off": off}


def test_a_host_tells_what_it_waited_for_since_it_was_last_asked(mesh):
    own = Fleet()
    own.seconds["data"] += [1.0, 2.0, 30.0]
    assert own.survey(jnp.zeros(2))["hosts"][0]["data"] == 2.0
    assert own.survey(jnp.zeros(2))["hosts"][0]["data"] == 0.0
