"""What a compiled program moves: between devices, and to and from each one's memory."""

import collections
import itertools
import re
from collections.abc import Iterator

import jax
import numpy as np

from aquila_jax.plan.hlo import Instruction, Program

# Bytes that a device takes in for each byte that it puts in, over a ring of n devices.
TAKEN = {
    "all-gather": lambda n: n - 1,
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "reduce-scatter": lambda n: (n - 1) / n,
    "all-to-all": lambda n: (n - 1) / n,
    "collective-permute": lambda n: 1,
}
_LISTED = re.compile(r"(?:replica_groups|source_target_pairs)=\{\{([\d,]+)\}")
_COUNTED = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_BETWEEN = re.compile(r'_xla_megascale_transfer_type="(\w+)"')
_CHANNEL = re.compile(r"channel_id=(\d+)")
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\(\[([\d,]+)\]"
                   r"(?:T\(([\d,]+)\))?\))? \{([^}]*)\}")  # fmt: skip
_AXIS = re.compile(r"'([^']+)'(?::\((\d+)\)(\d+))?")
# These name or hand on what others make.
_FREE = frozenset(
    "parameter constant tuple get-tuple-element bitcast while conditional call async after-all "
    "partition-id replica-id iota add-dependency opt-barrier optimization-barrier".split()
)
_VIEWS = ("dynamic-slice", "slice", "gather")


def collectives(program: Program, mesh: jax.sharding.Mesh) -> list[dict]:
    """One row for each kind and mesh axis: how often, and bytes into each device in a step.

    `dimensions` is over how many dimensions of the torus the group extends; `network` tells
    whether it reaches other slices.
    """
    sums = collections.defaultdict(lambda: [0.0, 0.0])
    moved = itertools.chain(_within_slices(program, mesh), _between_slices(program, mesh))
    for key, times, bytes_ in moved:
        sums[key][0] += times
        sums[key][1] += times * bytes_
    names = ("kind", "axes", "dimensions", "network", "count", "bytes")
    rows = [dict(zip(names, (*key, *values), strict=True)) for key, values in sums.items()]
    return sorted(rows, key=lambda row: -row["bytes"])


def _within_slices(program: Program, mesh: jax.sharding.Mesh) -> Iterator[tuple]:
    """What is exchanged (a row's first fields), how often, and its bytes into a device."""
    shapes = all_shapes(program)
    for name, times in program.visits(without=("fusion",)):
        for kind, line in _exchanges(program, name).values():
            group = members(line)
            if len(group) > 1:
                put_in = sum(array.bytes for operand in line.operands for array in shapes[operand])
                yield (kind, *where(group, mesh)), times, put_in * TAKEN[kind](len(group))


def _between_slices(program: Program, mesh: jax.sharding.Mesh) -> Iterator[tuple]:
    """The same of what the compiler hands to the hosts, which reach the other slices."""
    shapes = all_shapes(program)
    slices = len({getattr(device, "slice_index", None) for device in mesh.devices.flat})
    for name, times in program.visits(without=("fusion",)):
        for line in program.computations[name]:
            if line.opcode == "send" and (told := _BETWEEN.search(line.rest)):
                kind = told[1].lower().replace("_", "-")
                put_in = sum(array.bytes for array in shapes[line.operands[0]])
                yield (kind, "data", 1, True), times, put_in * TAKEN[kind](slices)


def _exchanges(program: Program, name: str, *, fused: bool = False) -> dict:
    """Kind and line of each collective in a computation and its fusions.

    TPU's compiler runs one beside other work by writing it into several fusions, as start,
    middle and end: its channel and group tell that these are one. Outside of them each line is
    one of its own, for JAX gives several the same channel.
    """
    found = {}
    for line in program.computations[name]:
        kind = line.opcode.removesuffix("-start")
        if line.opcode == "fusion":
            for called in line.calls():
                found = _exchanges(program, called, fused=True) | found
        elif kind in TAKEN:
            if kind == "all-reduce" and "reduce-scatter" in name:
                kind = "reduce-scatter"  # made of the other and a slice, in one kernel
            channel = _CHANNEL.search(line.rest) if fused else None
            key = (channel[1], tuple(members(line))) if channel else line.name
            found[key] = kind, line
    return found


def members(line: Instruction) -> list[int]:
    """The devices of the first group that exchanges something."""
    if listed := _LISTED.search(line.rest):
        return [int(device) for device in listed[1].split(",")]
    if counted := _COUNTED.search(line.rest):
        groups, sizes, turned = map(_numbers, counted.groups())
        return _laid_out(sizes, turned).reshape(groups)[0].tolist()
    if named := _MESH.search(line.rest):
        return _of_mesh(*named.groups())
    return []


def _of_mesh(mesh: str, sizes: str, turned: str, axes: str) -> list[int]:
    """The first group along some axes, or parts of axes, of a mesh that the compiler named."""
    names = [pair.partition("=") for pair in mesh.split(",")]
    lengths = {name.strip().strip("'"): int(length) for name, _, length in names}
    devices = _laid_out(_numbers(sizes) or list(lengths.values()), _numbers(turned))
    devices = devices.reshape(list(lengths.values()))
    spread = {name: (pre, size) for name, pre, size in _AXIS.findall(axes)}
    for place, (name, length) in enumerate(lengths.items()):
        pre, size = spread.get(name, ("1", "1"))
        part = int(size) if size else length
        step = length // (int(pre or 1) * part)
        devices = devices.take(np.arange(part) * step, axis=place)
    return devices.reshape(-1).tolist()


def _laid_out(sizes: list[int], turned: list[int]) -> np.ndarray:
    devices = np.arange(np.prod(sizes)).reshape(sizes)
    return devices.transpose(turned) if turned else devices


def _numbers(text: str | None) -> list[int]:
    return [int(number) for number in (text or "").split(",") if number]


def where(group: list[int], mesh: jax.sharding.Mesh) -> tuple[str, int, bool]:
    """Mesh axes along which a group extends, dimensions of the torus, and other slices or not."""
    places = np.stack(np.unravel_index(group, mesh.devices.shape))
    axes = [axis for axis, row in zip(mesh.axis_names, places, strict=True) if np.ptp(row)]
    devices = mesh.devices.reshape(-1)[group]
    coordinates = np.array([getattr(device, "coords", (0,)) for device in devices])
    slices = {getattr(device, "slice_index", None) for device in devices}
    return "+".join(axes), max(1, int(np.sum(np.ptp(coordinates, axis=0) > 0))), len(slices) > 1


def memory_bytes(program: Program) -> float:
    """Bytes read from and written to HBM in a step, each kernel by its arguments and results.

    A kernel that only slices a large argument reads the slice; one that updates a slice in
    place writes the slice. What lies in the chip's own memory is not counted, nor what a
    hand-written kernel reads again.
    """
    shapes, total = all_shapes(program), 0.0
    for name, times in program.visits(without=("fusion",)):
        for line in _at_once(program.computations[name]):
            if line.opcode not in _FREE:
                total += times * touched(program, line, shapes)
    return total


def _at_once(lines: list[Instruction]) -> Iterator[Instruction]:
    """The same with each start as what it starts; its result has the shape of its done."""
    results = {}
    for line in reversed(lines):
        if line.opcode.endswith("-done"):
            results[line.operands[0]] = line.shape
        elif line.opcode.endswith("-update"):
            results[line.operands[0]] = results.get(line.name, ())
        elif line.opcode.endswith("-start"):
            kind = line.opcode.removesuffix("-start")
            yield line._replace(opcode=kind, shape=results.get(line.name, ()))
        else:
            yield line


def touched(program: Program, line: Instruction, shapes: dict) -> float:
    """Bytes of HBM that one instruction reads and writes."""
    if line.opcode in _VIEWS:
        return _part(line.shape, shapes[line.operands[0]]) + _held(line.shape)
    if line.opcode == "dynamic-update-slice":
        update = shapes[line.operands[1]]
        return _held(update) + _part(update, line.shape)
    read = sum(
        min(_held(shapes[operand]), _seen(program, line, place))
        for place, operand in enumerate(line.operands)
    )
    return read + min(_held(line.shape), _written(program, line))


def all_shapes(program: Program) -> dict:
    """The arrays that each name stands for; names are unique in a program."""
    return {line.name: line.shape for lines in program.computations.values() for line in lines}


def _held(shape) -> float:
    return sum(array.bytes for array in shape if not array.chip)


def _part(part, whole) -> float:
    """Bytes of a part of something, if that lies in HBM."""
    return sum(array.bytes for array in part) if _held(whole) else 0.0


def _seen(program: Program, line: Instruction, place: int) -> float:
    """Bytes of an argument that a fusion looks at; infinite if it may be all of it."""
    if line.opcode != "fusion":
        return float("inf")
    inner = program.computations[line.calls()[0]]
    parameter = next(x.name for x in inner if x.opcode == "parameter" and x.number == place)
    total = 0.0
    for user in (x for x in inner if parameter in x.operands):
        if user.opcode in _VIEWS and user.operands[0] == parameter:
            total += sum(array.bytes for array in user.shape)
        elif user.opcode == "dynamic-update-slice" and user.operands[0] == parameter:
            continue  # overwritten in place
        elif user.opcode == "bitcast":
            return float("inf")
        else:
            total += _seen(program, user, user.operands.index(parameter))
    return total


def _written(program: Program, line: Instruction) -> float:
    """Bytes that a fusion writes; infinite if it may be all of its result."""
    if line.opcode != "fusion":
        return float("inf")
    inner = program.computations[line.calls()[0]]
    updates = [x for x in inner if x.opcode == "dynamic-update-slice"]
    if len(updates) != 1 or len(line.shape) != 1 or not inner[-1].name == updates[0].name:
        return float("inf")
    shapes = {x.name: x.shape for x in inner}
    return sum(array.bytes for array in shapes[updates[0].operands[1]])
