"""Moments in the hosts' memory change where they lie and nothing else."""

import shutil

import jax
import pytest

from aquila_jax.ate.offload import HOST_KIND
from aquila_jax.core import sharding
from aquila_jax.plan.compile import state_bytes
from aquila_jax.train.state import abstract_state, init_state
from aquila_jax.train.step import train_step
from tests.train import faults, small
from tests.train.conftest import make_batch, neutral, on_device


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run with and without, and its store."""
    folder = tmp_path_factory.mktemp("offload")
    small.make_store(folder)
    plain = small.config(folder / "store")
    away = small.change(plain, "optimizer", offload=True)
    small.run(plain, folder / "plain")
    small.run(away, folder / "away")
    return folder, away


def test_the_run_is_the_same_bit_for_bit(runs):
    folder, _ = runs
    assert small.losses(folder / "away") == small.losses(folder / "plain")
    assert small.last_checkpoint(folder / "away") == small.last_checkpoint(folder / "plain")


def test_it_goes_on_from_a_checkpoint(runs):
    folder, away = runs
    shutil.copytree(folder / "away", folder / "again")
    for step in (40, small.STEPS):
        shutil.rmtree(folder / "again" / "checkpoints" / str(step))
    said = []
    small.train(away, folder / "again", report=said.append, devices=jax.devices()[:1])
    assert any("going on after step 20" in line for line in said)
    assert small.last_checkpoint(folder / "again") == small.last_checkpoint(folder / "away")


def test_it_goes_back_to_a_moment_in_the_ring(runs):
    folder, away = runs
    with pytest.MonkeyPatch.context() as patch:
        faults.mislabel(patch, 37 * small.BATCH, 48 * small.BATCH)
        small.run(small.change(away, "mentor", mode="act"), folder / "back")
    shown = small.losses(folder / "back")
    before, after = ({s: loss for t, s, loss in shown if t == timeline} for timeline in (0, 1))
    assert [before[step] for step in range(33, 38)] == [after[step] for step in range(33, 38)]


@pytest.mark.parametrize("shape", [{"data": 2}, {"fsdp": 2, "tensor": 2}])
def test_moments_rest_with_the_host_on_any_mesh(program, shape):
    count = 2 * shape.get("tensor", 1)
    mesh = sharding.make_mesh(shape, jax.devices()[:count])
    program = small.change(program, "optimizer", offload=True)
    with jax.set_mesh(mesh):
        state = init_state(program, jax.random.key(0))
        for step in range(2):
            batch = on_device(make_batch(step), mesh)
            state, _ = train_step(program, state, batch, neutral(program))
        told = abstract_state(program, mesh)  # of which plan tells what fits
    kinds = {leaf.sharding.memory_kind for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim}
    assert kinds == {HOST_KIND}
    here, away = state_bytes(told), state_bytes(told, offloaded=True)
    assert away["optimizer"] == 2 * here["parameters"] > 0
    assert here["optimizer"] < 100 and away["parameters"] == 0  # counters stay
    assert {leaf.sharding.memory_kind for leaf in jax.tree.leaves(state.model)} == {"device"}
