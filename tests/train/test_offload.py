"""Moments in the hosts' memory change where they lie and nothing else."""

import shutil

import jax
import pytest

from aquila_jax.checkpoint import Checkpoints
from aquila_jax.core import sharding, trees
from aquila_jax.core.sharding import HOST_KIND
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


@pytest.fixture
def state(program, mesh):
    """Fresh, with moments in the memory of the host."""
    return init_state(small.change(program, "optimizer", offload=True), jax.random.key(0))


def test_what_is_being_written_is_not_the_memory_that_the_next_step_is_given(
    state, tmp_path, monkeypatch
):
    checkpoints = Checkpoints(str(tmp_path), keep=1)
    taken = []
    monkeypatch.setattr(
        checkpoints.manager, "save", lambda step, args, force: taken.append(args.state.item)
    )
    checkpoints.save(1, state, {})
    own, written = (
        [leaf for leaf in jax.tree.leaves(tree) if trees.rests_with_host(leaf)]
        for tree in (state, taken[0])
    )
    assert len(own) == len(written) > 10
    pairs = list(zip(own, written, strict=True))
    assert all(a.unsafe_buffer_pointer() != b.unsafe_buffer_pointer() for a, b in pairs)
    assert all(a.sharding == b.sharding and (a == b).all() for a, b in pairs)
    checkpoints.close()


def test_what_rests_with_the_host_is_added_up_on_the_device(state, monkeypatch):
    seen, add_up = [], trees._sum

    def sum_of(leaf):
        if not isinstance(leaf, jax.core.Tracer):
            seen.append(leaf.sharding)
        return add_up(leaf)

    monkeypatch.setattr(trees, "_sum", sum_of)
    here = jax.device_put(
        state, jax.tree.map(lambda x: x.sharding.with_memory_kind("device"), state)
    )
    told = trees.fingerprint(state)
    kinds = {sharding.memory_kind for sharding in seen}
    assert kinds == {"device"} and told == trees.fingerprint(here)


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
