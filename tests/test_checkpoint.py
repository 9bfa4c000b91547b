import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax import checkpoint
from aquila_jax.core import sharding

HOST = {"sequences": 12345678901, "loss": 0.1 + 0.2, "limit": float("inf"), "names": ["语言", "b"]}


def state_at(step: int):
    values = jnp.arange(4096, dtype=jnp.float32).reshape(64, 64) / 7 + step
    return {"w": values, "count": jnp.int32(step)}


def abstract_like(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


@pytest.fixture
def saved(tmp_path, mesh):
    store = checkpoint.Checkpoints(tmp_path / "c", keep=2, keep_every=10)
    for step in (10, 11, 12, 13):
        store.save(step, state_at(step), HOST | {"step": step})
    store.wait()
    yield store
    store.close()


def restore(store, **kwargs):
    said = []
    like = abstract_like(state_at(0))
    return *store.restore(like, report=said.append, **kwargs), said


def test_everything_comes_back_bit_for_bit(saved):
    state, host, said = restore(saved)
    jax.tree.map(np.testing.assert_array_equal, state, state_at(13))
    assert {key: host[key] for key in HOST} == HOST
    assert host["step"] == 13 and not said


def test_retention_keeps_the_newest_and_each_period(saved):
    assert saved.steps() == [10, 12, 13]


def damage(folder: pathlib.Path):
    biggest = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(biggest.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 16] = b"\xff" * 16
    biggest.write_bytes(data)


def cut(folder: pathlib.Path):
    biggest = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    biggest.write_bytes(biggest.read_bytes()[:100])


@pytest.mark.parametrize("harm", [damage, cut])
def test_a_damaged_newest_one_is_reported_and_the_one_before_taken(saved, harm):
    harm(pathlib.Path(saved.folder) / "13" / "state")
    state, host, said = restore(saved)
    assert host["step"] == 12 and int(state["count"]) == 12
    assert len(said) == 1 and "checkpoint 13" in said[0] and "damaged" in said[0]


def test_what_is_damaged_for_another_process_is_left_out_by_all(saved, monkeypatch):
    answers = iter([[["", ""], ["DataLoss: cut", ""]], [["", ""], ["", ""]]])
    monkeypatch.setattr(checkpoint.agree, "gathered", lambda own: next(answers))
    _, host, said = restore(saved)
    assert host["step"] == 12 and "checkpoint 13" in said[0] and "DataLoss: cut" in said[0]


def test_a_storage_that_does_not_answer_is_no_damage(saved, monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionResetError("Connection reset by peer")

    monkeypatch.setattr(checkpoint.ocp.JsonCheckpointHandler, "restore", unreachable)
    with pytest.raises(OSError, match="checkpoint 13 in .* cannot be read: ConnectionResetError"):
        restore(saved)
    assert saved.steps() == [10, 12, 13]


@pytest.mark.parametrize(
    ("keep", "step", "left"), [(3, 25, [20, 25]), (3, 15, [10, 15]), (3, 5, [5]), (3, 30, [10, 20, 30]),
                               (1, 25, [25])]
)  # fmt: skip
def test_one_takes_the_place_of_all_later_ones(tmp_path, mesh, keep, step, left):
    store = checkpoint.Checkpoints(tmp_path / "c", keep=keep)
    for other in (10, 20, 30):
        store.save(other, state_at(other), HOST)
    store.wait()
    store.replace(step, state_at(99), HOST)
    assert store.steps() == left
    assert int(store.restore(abstract_like(state_at(0)), step=step, report=print)[0]["count"]) == 99
    store.close()


def test_what_is_to_last_is_kept_beside_the_newest(tmp_path, mesh):
    store = checkpoint.Checkpoints(tmp_path / "c", keep=2)
    for step in (10, 20, 30, 40):
        store.lasting = (10,) if step < 40 else (20,)
        store.save(step, state_at(step), HOST)
        store.wait()
        assert store.steps() == {10: [10], 20: [10, 20], 30: [10, 20, 30], 40: [20, 30, 40]}[step]
    store.close()


def test_memory_that_does_not_suffice_is_no_damage(saved, monkeypatch):
    def full(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(checkpoint.ocp.StandardCheckpointHandler, "restore", full)
    with pytest.raises(ValueError, match="RESOURCE_EXHAUSTED"):
        restore(saved)


def test_where_one_cannot_be_saved_the_newest_stays(tmp_path, mesh, monkeypatch):
    store = checkpoint.Checkpoints(tmp_path / "c", keep=3)
    for other in (10, 20, 30):
        store.save(other, state_at(other), HOST)
    store.wait()
    monkeypatch.setattr(store, "wait", lambda: None)

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(store.manager, "save", full)
    with pytest.raises(checkpoint.CheckpointError, match="No space left"):
        store.replace(5, state_at(5), HOST)
    assert store.steps() == [30]


def test_when_all_are_damaged_it_says_so(saved):
    for step in saved.steps():
        damage(pathlib.Path(saved.folder) / str(step) / "state")
    with pytest.raises(checkpoint.CheckpointError, match="no checkpoint in .* is whole"):
        restore(saved)


def test_another_mesh_restores_the_same_values(tmp_path):
    folder = tmp_path / "c"
    with jax.set_mesh(sharding.make_mesh({}, devices=jax.devices()[:1])):
        store = checkpoint.Checkpoints(folder, keep=1)
        store.save(1, state_at(1), HOST)
        store.close()
    mesh = sharding.make_mesh({"fsdp": 4, "tensor": 2})
    with jax.set_mesh(mesh):
        layout = jax.sharding.NamedSharding(mesh, jax.P("fsdp", "tensor"))
        like = abstract_like(state_at(0))
        like["w"] = jax.ShapeDtypeStruct((64, 64), jnp.float32, sharding=layout)
        like["count"] = sharding.abstract(jax.eval_shape(lambda: jnp.int32(0)), mesh)
        store = checkpoint.Checkpoints(folder, keep=1)
        state, _ = store.restore(like, report=print)
        assert state["w"].sharding == layout
        np.testing.assert_array_equal(state["w"], state_at(1)["w"])
        store.close()


def test_who_only_reads_leaves_a_save_in_progress_alone(saved):
    unfinished = pathlib.Path(saved.folder) / "14.orbax-checkpoint-tmp"
    unfinished.mkdir()
    reader = checkpoint.Checkpoints(saved.folder, keep=None)
    assert restore(reader)[1]["step"] == 13
    reader.close()
    assert unfinished.exists()


def test_nothing_to_restore_is_none(tmp_path, mesh):
    store = checkpoint.Checkpoints(tmp_path / "c", keep=1)
    assert store.restore(abstract_like(state_at(0)), report=print) is None
    store.close()
