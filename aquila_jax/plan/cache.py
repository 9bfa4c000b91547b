"""What was compiled once is not compiled again: reports by a fingerprint of all that shapes them."""

import dataclasses
import hashlib
import importlib.metadata
import json
from pathlib import Path

import aquila_jax
from aquila_jax import config as configuration
from aquila_jax.config import Config
from aquila_jax.core import files
from aquila_jax.plan.candidates import Candidate, applied

# The sources that the compiled step and its report are made of.
_SOURCES = ("core/limits.py", "core/sharding.py", "core/signals.py", "model/*.py",
            "ate/offload.py", "ate/optimizer.py", "ate/schedules.py", "ate/transforms.py",
            "train/ahead.py", "train/layers.py", "train/state.py", "train/step.py", "tsm/metrics.py",
            "plan/candidates.py", "plan/chips.py", "plan/compile.py", "plan/hlo.py",
            "plan/measure.py", "plan/roofline.py", "plan/sketch.py", "plan/topology.py")  # fmt: skip
_PACKAGES = ("jax", "jaxlib", "libtpu", "flax", "optax")


def fingerprint(config: Config, candidate: Candidate) -> str:
    """Of the program and its layout, the code and the compiler: not of the devices."""
    plain = configuration.plain(applied(config, candidate))
    shaping = {key: plain[key] for key in ("model", "optimizer", "schedule")}
    shaping |= {"length": config.data.length, "domains": configuration.domains(config)}
    layout = dataclasses.asdict(candidate)
    key = json.dumps([shaping, layout, sources(), versions()], sort_keys=True)
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def sources() -> str:
    """A hash of the code."""
    folder = Path(aquila_jax.__file__).parent
    files = sorted(file for pattern in _SOURCES for file in folder.glob(pattern))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str | None]:
    """Of the packages that make the program; None: not installed."""
    return {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def read(folder: Path, key: str) -> dict | None:
    """The report kept under `key`; None if there is none, or none that can be read."""
    try:
        return json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def write(folder: Path, key: str, report: dict) -> None:
    """Keeps a report, whole or not at all."""
    write_json(folder / f"{key}.json", report)


def write_json(file: Path, value: dict) -> None:
    """For a person to read as well."""
    files.write(file, json.dumps(value, indent=1).encode() + b"\n")
