"""Strict defaults for every test: eight emulated devices, always a mesh, no silent surprises.

Properties come first: the mesh does not change the loss; resume equals no stop; packing never
joins documents; a neutral control changes nothing; export then import is the identity.
"""

import os
import pathlib

os.environ["JAX_PLATFORMS"] = "cpu"
# Tests compile far more than they run: no optimisation, and each program only once.
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
)
os.environ["NPROC"] = "64"  # as train.distributed does for emulated devices
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(pathlib.Path(".pytest_cache/jax").absolute())
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"

import jax
import pytest

from aquila_jax.core import sharding

jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def mesh():
    """One device, every axis of size 1, in force while the test runs."""
    mesh = sharding.make_mesh({}, devices=jax.devices()[:1])
    with jax.set_mesh(mesh):
        yield mesh


@pytest.fixture(scope="session")
def corpus() -> pathlib.Path:
    """The real bilingual corpus, where there is one."""
    if not (SHARED / "corpus").is_dir():
        pytest.skip("no ../shared/corpus beside the project")
    return SHARED / "corpus"


@pytest.fixture(scope="session")
def curves() -> pathlib.Path:
    """The published loss curves, where there are any."""
    if not (SHARED / "curves").is_dir():
        pytest.skip("no ../shared/curves beside the project")
    return SHARED / "curves"
