"""Which hardware the program that is being traced will run on."""

import jax


def platform() -> str:
    """`cpu`, `gpu` or `tpu`: of the mesh in force, also of one that is only described."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return device.platform if device else jax.default_backend()
