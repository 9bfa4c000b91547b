"""Reading a compiled program: its instructions, and how often each one runs."""

import re
from collections.abc import Iterator
from typing import NamedTuple

BYTES = {
    "pred": 1, "s4": 0.5, "u4": 0.5, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4, "u32": 4,
    "s64": 8, "u64": 8, "bf16": 2, "f16": 2, "f32": 4, "f64": 8, "f8e4m3fn": 1, "f8e5m2": 1,
}  # fmt: skip
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) (?:\(.*\) -> .*)?\{\s*(?:/\*.*)?$")
_LINE = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = ")
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\](\{[^}]*\})?")
_CALLS = re.compile(r"(?:calls|body|condition|to_apply)=%?([\w.\-]+)")
_BRANCHES = re.compile(
    r"(?:branch_computations=\{([^}]*)\}|(?:true|false)_computation=%?([\w.\-]+))"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


class Array(NamedTuple):
    """One array of a shape."""

    bytes: float
    chip: bool  # lies in the chip's own memory and not in HBM


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    shape: tuple[Array, ...]
    opcode: str
    operands: tuple[str, ...]
    rest: str  # attributes, as they are written

    @property
    def number(self) -> int:
        """Of a parameter: its place."""
        return int(self.rest)

    def calls(self) -> list[str]:
        """The computations that it runs, but those applied to single numbers."""
        if self.opcode in ("reduce", "scatter", "sort", "reduce-window", "select-and-scatter"):
            return []
        names = _CALLS.findall(self.rest)
        for several, single in _BRANCHES.findall(self.rest):
            names += [name.strip().lstrip("%") for name in several.split(",") if name] or [single]
        return names


class Program(NamedTuple):
    """All computations by name; insertion order is the text's."""

    computations: dict[str, list[Instruction]]
    entry: str

    def visits(self, without: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
        """Computations with how often a run enters each, loops multiplied out.

        Both branches of a conditional count as taken; what the opcodes in `without` run is
        left out.
        """
        pending = [(self.entry, 1.0)]
        while pending:
            name, times = pending.pop()
            yield name, times
            for instruction in self.computations[name]:
                often = times * self.trips(instruction)
                if not instruction.opcode.endswith(("-done", "-update", *without)):
                    pending += [(called, often) for called in instruction.calls()]

    def trips(self, instruction: Instruction) -> int:
        """How often a loop turns; 1 for what is no loop."""
        if instruction.opcode != "while":
            return 1
        if known := _TRIPS.search(instruction.rest):
            return int(known[1])
        condition = re.search(r"condition=%?([\w.\-]+)", instruction.rest)[1]
        lines = self.computations[condition]
        numbers = [x.rest for x in lines if x.opcode == "constant" and x.rest.isdigit()]
        if not numbers:
            raise ValueError(f"the loop {instruction.name} does not tell how often it turns.")
        return int(numbers[-1])


def parse(text: str) -> Program:
    """The program that `compiled.as_text()` prints."""
    computations, entry, current = {}, "", []
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = computations[head[2]] = []
            entry = head[2] if head[1] else entry
        elif found := _LINE.match(line):
            current.append(_instruction(found[1], line[found.end() :]))
    return Program(computations, entry)


def _instruction(name: str, text: str) -> Instruction:
    end = _closing(text) if text.startswith("(") else text.index(" ")
    shape, text = text[:end], text[end:].lstrip()
    opcode, _, text = text.partition("(")
    close = _closing("(" + text) - 1
    operands = re.findall(r"%([\w.\-]+)", text[: close - 1])
    rest = text[close:]
    if opcode in ("constant", "parameter"):
        rest = text[: close - 1]
    return Instruction(name, arrays(shape), opcode, tuple(operands), rest)


def arrays(shape: str) -> tuple[Array, ...]:
    """The arrays of a shape, of a tuple all."""
    found = []
    for kind, sizes, layout in _ARRAY.findall(shape):
        count = 1
        for size in filter(None, sizes.split(",")):
            count *= int(size)
        found.append(Array(BYTES.get(kind, 0) * count, "S(" in layout and "S(5)" not in layout))
    return tuple(found)


def _closing(text: str) -> int:
    """Just behind the bracket that closes the first one."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return place + 1
    raise ValueError(f"brackets do not close in {text[:80]!r}.")
