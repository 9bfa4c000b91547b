"""TPU chips and the slices that can be asked for, as their maker describes them.

Figures are from docs.cloud.google.com/tpu/docs (pages v5e, v5p, v6e, tpu7x), except the memory
that a program may use, which is what the compiler itself names when a program does not fit.
"""

import dataclasses
import difflib
import math

GIB = 1 << 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """One device as JAX counts devices: a chip, but on tpu7x one of a chip's two cores."""

    family: str
    memory: float  # bytes that a program may use
    flops: float  # bf16 FLOP/s, dense
    memory_speed: float  # bytes/s
    link_speed: float  # bytes/s that come in over one torus dimension, from both sides
    network_speed: float  # bytes/s to other slices
    devices_per_chip: int = 1
    cores_per_chip: int = 1  # what the number in a slice's name counts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice:
    """Chips that one torus or mesh joins, or several such slices that a network joins."""

    name: str
    layout: str  # of one slice, as libtpu spells it
    chip: Chip
    chips: int  # of all slices
    slices: int = 1

    @property
    def devices(self) -> int:
        """As JAX counts them."""
        return self.chips * self.chip.devices_per_chip


# The total over all links and both directions is published: 400, 1200, 800, 1200 GB/s a chip;
# half of it comes in, spread over 2 or 3 dimensions.
CHIPS = {
    "v5e": Chip(
        family="v5e", memory=15.75 * GIB, flops=197e12, memory_speed=819e9,
        link_speed=100e9, network_speed=25e9 / 8,
    ),
    "v5p": Chip(
        family="v5p", memory=95.74 * GIB, flops=459e12, memory_speed=2765e9,
        link_speed=200e9, network_speed=50e9 / 8, cores_per_chip=2,
    ),
    "v6e": Chip(
        family="v6e", memory=31.25 * GIB, flops=918e12, memory_speed=1638e9,
        link_speed=200e9, network_speed=100e9 / 8,
    ),
    "tpu7x": Chip(
        family="tpu7x", memory=94.75 * GIB, flops=2307e12 / 2, memory_speed=7380e9 / 2,
        link_speed=100e9, network_speed=50e9 / 8, devices_per_chip=2, cores_per_chip=2,
    ),
}  # fmt: skip

FLAT = ("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16",
         "8x16x16", "16x16x16")  # fmt: skip
SHAPES = {"v5e": FLAT, "v5p": CUBES, "v6e": FLAT, "tpu7x": CUBES}


def slices() -> dict[str, Slice]:
    """Every slice by its name: `v5p-128` has 128 cores, which are 64 chips."""
    made = {}
    for family, shapes in SHAPES.items():
        for shape in shapes:
            chips = math.prod(map(int, shape.split("x")))
            name = f"{family}-{chips * CHIPS[family].cores_per_chip}"
            layout = f"{family}:{shape}"
            made[name] = Slice(name=name, layout=layout, chip=CHIPS[family], chips=chips)
    return made


def find(name: str) -> Slice:
    """The slice of that name, `v5e-256x2`: two of them; ValueError lists those that exist."""
    known = slices()
    one, _, count = name.rpartition("x")
    if one in known and count.isdecimal() and int(count) > 0:
        chips = known[one].chips * int(count)
        return dataclasses.replace(known[one], name=name, chips=chips, slices=int(count))
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1, cutoff=0.8)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise ValueError(f"topology {name!r} does not exist{hint}; there are: {', '.join(known)}.")


def within(chips: int) -> list[Slice]:
    """The largest slice of each kind that has at most so many chips."""
    best = {}
    for slice_ in slices().values():
        if slice_.chips <= chips:
            best[slice_.chip.family] = slice_  # in growing order
    if not best:
        raise ValueError(f"--chips {chips} is fewer than the smallest slice has: 4.")
    return list(best.values())
