"""The mesh, and the tables that say how every array is laid out on it.

One alphabet names every axis, in variable suffixes, einsums, weight shapes and below:

    A accumulation  B batch  L length   V vocab     N layers  D embed  H heads
    G kv heads      K head dim          F ffn       E experts M mixture domains
"""

import collections
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

MESH_AXES = ("data", "fsdp", "tensor", "context", "expert")  # always all; unused ones have size 1
WEIGHTS = {"D": "fsdp", "H": "tensor", "G": "tensor", "F": "tensor", "V": "tensor", "E": "expert"}
ACTIVATIONS = WEIGHTS | {"B": ("data", "fsdp"), "L": "context", "D": None}
WHOLE = ACTIVATIONS | {"L": None}  # keys and values, read whole by each part of the queries
HOST_KIND = "pinned_host"  # JAX's name for the memory of a device's host


def make_mesh(shape: dict[str, int], devices=None) -> jax.sharding.Mesh:
    """A mesh with every axis of `MESH_AXES`; one axis may be -1: all devices left over."""
    devices = jax.devices() if devices is None else devices
    sizes = list(axis_sizes(shape, len(devices)).values())
    explicit = (AxisType.Explicit,) * len(MESH_AXES)
    return jax.sharding.Mesh(arranged(sizes, devices), MESH_AXES, axis_types=explicit)


def axis_sizes(shape: Mapping[str, int], devices: int) -> dict[str, int]:
    """Devices along each axis of `MESH_AXES`; ValueError if there is no such mesh."""
    if unknown := set(shape) - set(MESH_AXES):
        raise ValueError(f"mesh axes {sorted(unknown)} do not exist; the axes are {MESH_AXES}.")
    sizes = {axis: shape.get(axis, 1) for axis in MESH_AXES}
    fixed = [size for size in sizes.values() if size != -1]
    if min(fixed) < 1 or len(fixed) < len(sizes) - 1:
        raise ValueError(
            f"mesh {dict(shape)} must have at least 1 device along each axis; one axis, and no "
            "more, may be -1 to take what is left."
        )
    left = devices // math.prod(fixed)
    sizes = {axis: left if size == -1 else size for axis, size in sizes.items()}
    if math.prod(sizes.values()) != devices:
        raise ValueError(
            f"mesh {dict(shape)} must multiply to the {devices} devices that there are; set one "
            "axis to -1 to take what is left."
        )
    return sizes


def arranged(sizes: Sequence[int], devices: Sequence[jax.Device]) -> np.ndarray:
    """The devices in the shape of the mesh, neighbours of an axis near each other.

    Slices that only a network joins follow one another along `data`, which moves least. An
    axis may take a part of a torus dimension, which `jax.make_mesh` allows on v5e alone.
    """
    slices = collections.defaultdict(list)
    for device in devices:
        # Other platforms number hosts so, over which an axis may well extend; one slice has none.
        number = getattr(device, "slice_index", 0) if device.platform == "tpu" else 0
        slices[number].append(device)
    data, *rest = sizes
    if data % len(slices):
        raise ValueError(
            f"mesh axis data={data} must be a multiple of the {len(slices)} slices, which lie "
            "behind one another along it; fsdp and the others stay within a slice."
        )
    inner = (data // len(slices), *rest)
    return np.concatenate([
        mesh_utils.create_device_mesh(inner, slices[number], allow_split_physical_axes=True)
        for number in sorted(slices)
    ])  # fmt: skip


def spec(axes: str, table: dict = ACTIVATIONS) -> PartitionSpec:
    """`spec("BLD")` is how an activation of that shape is laid out."""
    return PartitionSpec(*map(table.get, axes))


def einsum(equation: str, x: jax.Array, weight: jax.Array) -> jax.Array:
    """`jnp.einsum` whose output is sharded as its letters say, in the type of `x`."""
    out_axes = equation.partition("->")[2]
    return jnp.einsum(equation, x, weight[...].astype(x.dtype), out_sharding=spec(out_axes))


def abstract(tree, mesh: jax.sharding.Mesh):
    """Shapes, types and shardings on the real `mesh`, as a checkpoint is restored into."""

    def leaf(x):
        partition = x.sharding.spec if x.sharding else PartitionSpec()
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, partition))

    return jax.tree.map(leaf, tree)
