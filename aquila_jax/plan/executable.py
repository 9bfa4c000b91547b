"""A compiled step on disk: made on any machine, loaded on the pod it was made for."""

import pickle
from pathlib import Path
from typing import Any

import jax
from jax.experimental import serialize_executable

from aquila_jax.core import files
from aquila_jax.plan import cache

# What bytes that `save` did not write raise when they are taken for a pickle.
_NO_PROGRAM = (
    pickle.UnpicklingError, EOFError, ImportError, AttributeError, LookupError, TypeError,
    ValueError,
)  # fmt: skip


def save(compiled: jax.stages.Compiled, file: Path, *, fingerprint: str) -> None:
    """Writes the program, with what it was made of and by, whole or not at all."""
    program, in_tree, out_tree = serialize_executable.serialize(compiled)
    kept = {"fingerprint": fingerprint, "versions": cache.versions(), "program": program}
    files.write(file, pickle.dumps(kept | {"trees": (in_tree, out_tree)}))


def load(file: Path, mesh: jax.sharding.Mesh, *, fingerprint: str) -> Any:
    """The program, ready to be called on `mesh`; unpickles: only for one's own files.

    ValueError where it was made of another configuration or code, or by other versions of the
    packages: such a program would load without a word and without any warranty.
    """
    try:
        kept = pickle.loads(file.read_bytes())
        program, trees = kept["program"], kept["trees"]
        made_of, made_by = kept["fingerprint"], kept["versions"]
    except FileNotFoundError as error:
        raise ValueError(f"{file} does not exist; plan --save FILE writes it.") from error
    except _NO_PROGRAM as error:
        raise ValueError(f"{file} is no compiled step, or not a whole one.") from error
    if made_of != fingerprint:
        raise ValueError(f"{file} was compiled for another configuration, layout or code.")
    if made_by != (here := cache.versions()):
        raise ValueError(f"{file} was compiled with {made_by}, but here is {here}.")
    devices = list(mesh.devices.flat)
    return serialize_executable.deserialize_and_load(program, *trees, execution_devices=devices)
