import math

import pytest

from aquila_jax.plan import chips


@pytest.mark.parametrize(
    ("name", "count", "devices", "layout"),
    [
        ("v5e-256", 256, 256, "v5e:16x16"),
        ("v5p-128", 64, 64, "v5p:4x4x4"),
        ("v5p-512", 256, 256, "v5p:4x8x8"),
        ("v6e-256", 256, 256, "v6e:16x16"),
        ("tpu7x-128", 64, 128, "tpu7x:4x4x4"),
        ("v5e-256x2", 512, 512, "v5e:16x16"),
        ("tpu7x-128x4", 256, 512, "tpu7x:4x4x4"),
    ],
)
def test_slices_have_the_chips_that_their_names_say(name, count, devices, layout):
    found = chips.find(name)
    assert (found.chips, found.devices, found.layout) == (count, devices, layout)


def test_every_name_leads_to_its_slice_and_layouts_multiply_to_the_chips():
    for name, found in chips.slices().items():
        assert chips.find(name) == found
        assert math.prod(map(int, found.layout.partition(":")[2].split("x"))) == found.chips


def test_a_topology_that_does_not_exist_is_answered_by_those_that_do():
    with pytest.raises(ValueError, match=r"'v5p-100' does not exist.*v5p-128.*tpu7x-128"):
        chips.find("v5p-100")
    with pytest.raises(ValueError, match=r"did you mean v6e-256\?"):
        chips.find("v6e256")
    for none in ("v5e-256x0", "v5e-256x", "v5e-256x-2"):
        with pytest.raises(ValueError, match="does not exist"):
            chips.find(none)


def test_a_budget_takes_the_largest_slice_of_each_kind():
    assert [s.name for s in chips.within(64)] == ["v5e-64", "v5p-128", "v6e-64", "tpu7x-128"]
    with pytest.raises(ValueError, match="smallest"):
        chips.within(2)


@pytest.mark.parametrize(("family", "total"), [("v5e", 400e9), ("v5p", 1200e9), ("v6e", 800e9)])
def test_link_speeds_add_up_to_the_published_totals(family, total):
    dimensions = chips.SHAPES[family][0].count("x") + 1
    chip = chips.CHIPS[family]
    assert chip.link_speed * dimensions * 2 * chip.devices_per_chip == total
