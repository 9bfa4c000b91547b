"""One layout, judged by the compiler: does it fit, and what does its program move?"""

import dataclasses
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from aquila_jax.config import Config
from aquila_jax.core.sharding import HOST_KIND, make_mesh
from aquila_jax.model.config import flops_per_token
from aquila_jax.plan import cache, executable, hlo, measure, roofline, sketch, topology
from aquila_jax.plan.candidates import Candidate, applied
from aquila_jax.plan.chips import GIB, Slice

Lower = Callable[[Config, jax.sharding.Mesh], Any]  # gives `.lowered` and `.state`
_TOO_LARGE = re.compile(r"Used ([\d.]+)([KMGT]?) of [\d.]+[KMGT]? hbm")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def judge(
    config: Config, candidate: Candidate, slice_: Slice, *, lower: Lower, save: Path | None
) -> dict[str, Any]:
    """Compiles the real train step for the slice: what was found, as JSON has it.

    Needs a process of its own (`plan.child`). A program that fits is written to `save`.
    """
    begun = time.monotonic()
    with topology.alone():
        mesh = make_mesh(candidate.mesh, topology.devices(slice_))
        ahead = lower(applied(config, candidate), mesh)
        held = state_bytes(ahead.state)
        report = {"topology": slice_.name, "layout": dataclasses.asdict(candidate), **held}
        report["offloaded"] = state_bytes(ahead.state, offloaded=True)["optimizer"]
        report["available"] = slice_.chip.memory
        least = sum(held.values()) + held["parameters"]  # gradients stand whole before an update
        if least > slice_.chip.memory:
            compiled, found = None, {"fits": False, "needed": least}
        else:
            compiled, found = attempt(ahead.lowered, candidate)
        if compiled:
            found = fitting(compiled, held)
            found |= times(config, candidate, slice_, text=compiled.as_text(), mesh=mesh)
        if compiled and save:
            executable.save(compiled, save, fingerprint=cache.fingerprint(config, candidate))
    return report | found | {"compile_seconds": time.monotonic() - begun}


def attempt(lowered, candidate: Candidate) -> tuple[jax.stages.Compiled | None, dict]:
    """The program, or what it would need; ValueError where memory is not the matter."""
    try:
        return lowered.compile(), {}
    except jax.errors.JaxRuntimeError as error:
        if (needed := bytes_needed(str(error))) is None:
            raise ValueError(f"TPU's compiler refuses {candidate.in_words()}: {error}") from error
        return None, {"fits": False, "needed": needed}


def state_bytes(state, *, offloaded: bool = False) -> dict[str, int]:
    """Bytes of parameters and of the optimiser's state for one device: its own, or the host's."""

    def total(tree) -> int:
        return sum(
            math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
            for leaf in jax.tree.leaves(tree)
            if (leaf.sharding.memory_kind == HOST_KIND) == offloaded
        )

    return {"parameters": total(state.model), "optimizer": total(state.opt_state)}


def fitting(compiled, held: dict[str, int]) -> dict:
    """Bytes on one device of a program that fits, by kind, at the moment when it takes most.

    The new state takes the place of the old one (it is donated). The sum of all temporary buffers
    would be too much: they do not stand at the same time.
    """
    told = compiled.memory_analysis()
    kept = told.argument_size_in_bytes + told.output_size_in_bytes - told.alias_size_in_bytes
    peak, program = told.peak_memory_in_bytes, told.generated_code_size_in_bytes
    return {
        "fits": True,
        "needed": peak + program,
        "temporaries": peak - kept,
        "batch": kept - sum(held.values()),
        "program": program,
    }


def bytes_needed(message: str) -> float | None:
    """What a program that does not fit would take; None if the message is about another matter."""
    found = _TOO_LARGE.search(message)
    return float(found[1]) * _UNITS[found[2]] if found else None


def times(config: Config, candidate: Candidate, slice_: Slice, *, text: str, mesh) -> dict:
    """Collectives of the compiled program, and the bound on its step."""
    cfg, length, chip = applied(config, candidate).model, config.data.length, slice_.chip
    program = hlo.parse(text)
    moved = measure.collectives(program, mesh)
    tokens = candidate.batch * length
    per_token = roofline.hardware_flops_per_token(cfg, length, context=candidate.context)
    flops = per_token * tokens / slice_.devices
    bounds = roofline.Times(
        compute=flops / chip.flops,
        memory=measure.memory_bytes(program) / chip.memory_speed,
        links=sum(row["bytes"] / row["dimensions"] for row in moved if not row["network"])
        / chip.link_speed,
        network=sum(row["bytes"] for row in moved if row["network"]) / chip.network_speed,
    )
    return {
        "collectives": moved,
        "hardware_flops_per_device": flops,
        "model_flops_per_token": flops_per_token(cfg, length),
        **roofline.figures(
            bounds,
            slice_=slice_,
            tokens=tokens,
            model_flops=flops_per_token(cfg, length),
            target=config.schedule.total * length,
        ),
    }


def advice(config: Config, candidate: Candidate, report: dict) -> str:
    """For a layout that does not fit: by how much, and what to change."""
    over = report["needed"] - report["available"]
    state = 2 * report["parameters"] + report["optimizer"]  # gradients are as large as parameters
    words = f"needs {report['needed'] / GIB:.1f} GiB a device, {over / GIB:.1f} GiB too many"
    spread = candidate.fsdp * candidate.tensor
    rest = max(report["needed"] - state, 0)
    room = report["available"] * 0.95 - rest
    if rest < report["available"] * 0.9:
        wanted = math.ceil(state * spread / max(room, GIB))
        if wanted > candidate.data * spread * candidate.context:
            words += f"; take a slice of {wanted} devices or more for the state alone"
        else:
            words += f"; spread the state over {wanted} devices or more (it is over {spread} now)"
        return words + or_host(report)
    kept = sketch.kept_per_token(config, candidate)
    way = "fewer sequences in a micro-batch" if candidate.rows > 1 else "context or tensor > 1"
    if kept > config.model.embed:
        way = "remat=nothing_saveable"
    return f"{words}, mostly what the backward pass keeps: {way}"


def or_host(report: dict) -> str:
    """The other way, where the moments are not with the host already."""
    if report.get("offloaded"):
        return ""
    less = report["optimizer"] / GIB
    return f", or keep its moments with the hosts ({less:.1f} GiB less): --config.optimizer.offload=True"
