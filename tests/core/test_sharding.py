"""Where the devices of a mesh lie, with stand-ins for those of TPU slices."""

import types

import numpy as np
import pytest

from aquila_jax.core import sharding


def slices(count: int, sides: tuple[int, int, int], kind: str = "TPU v5") -> list:
    """Devices of `count` slices, one core a chip, in no useful order."""
    places = [(s, *place) for s in range(count) for place in np.ndindex(*sides)]
    return [
        types.SimpleNamespace(
            platform="tpu", device_kind=kind, slice_index=s, coords=(x, y, z), core_on_chip=0,
            process_index=0, id=number,
        )
        for number, (s, x, y, z) in reversed(list(enumerate(places)))
    ]  # fmt: skip


def test_slices_follow_one_another_along_data_and_all_else_stays_inside():
    found = sharding.arranged([4, 4, 2, 1, 1], slices(2, (4, 2, 2)))
    assert found.shape == (4, 4, 2, 1, 1)
    assert len({device.id for device in found.flat}) == 32
    for data in range(4):
        assert {device.slice_index for device in found[data].flat} == {data // 2}


def test_an_axis_may_take_a_part_of_a_torus_dimension():
    found = sharding.arranged([1, 32, 2, 1, 1], slices(1, (4, 4, 4)))
    assert len({device.id for device in found.flat}) == 64
    for pair in found.reshape(32, 2):  # neighbours
        assert np.abs(np.subtract(pair[0].coords, pair[1].coords)).sum() in (1, 3)


def test_a_single_slice_has_no_number_and_hosts_of_a_cpu_are_no_slices():
    alone = slices(1, (2, 2, 1))
    for device in alone:
        del device.slice_index
    assert sharding.arranged([1, 4, 1, 1, 1], alone).shape == (1, 4, 1, 1, 1)
    hosts = [
        types.SimpleNamespace(platform="cpu", device_kind="cpu", slice_index=i) for i in (0, 1)
    ]
    assert sharding.arranged([1, 2, 1, 1, 1], hosts).shape == (1, 2, 1, 1, 1)


def test_an_axis_that_would_cross_slices_is_refused():
    with pytest.raises(ValueError, match=r"data=1 must be a multiple of the 2 slices"):
        sharding.arranged([1, 32, 1, 1, 1], slices(2, (4, 2, 2)))


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ({}, (1, 1, 1, 1, 1)),
        ({"data": -1}, (8, 1, 1, 1, 1)),
        ({"fsdp": 2, "expert": -1}, (1, 2, 1, 1, 4)),
    ],
)
def test_one_axis_takes_what_the_others_leave(shape, sizes):
    found = sharding.axis_sizes(shape, 8 if shape else 1)
    assert found == dict(zip(sharding.MESH_AXES, sizes, strict=True))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"data": -1, "fspd": 4}, r"axes \['fspd'\] do not exist"),
        ({"data": 0, "fsdp": -1}, "at least 1 device along each axis"),
        ({"data": -2, "fsdp": -8}, "at least 1 device along each axis"),
        ({"data": -1, "fsdp": -1}, "one axis, and no more, may be -1"),
        ({"data": -1, "fsdp": 3}, "must multiply to the 8 devices"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused_in_a_sentence(shape, message):
    with pytest.raises(ValueError, match=message):
        sharding.axis_sizes(shape, 8)
