import jax
import pytest

from aquila_jax.train import loop
from tests.train import small


def test_a_mesh_that_does_not_divide_the_model_is_refused_in_a_sentence(tmp_path):
    config = small.change(small.config(tmp_path), "train", mesh={"tensor": 8})
    with pytest.raises(ValueError, match=r"heads=4 must be a multiple of tensor=8; the largest"):
        loop.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_devices_without_work_of_their_own_are_refused_as_in_a_plan(tmp_path):
    config = small.change(small.config(tmp_path), "train", mesh={"expert": -1})
    with pytest.raises(ValueError, match=r"leaves 1 of 2 devices without work of their own"):
        loop.train(config, tmp_path / "run", devices=jax.devices()[:2])
    assert not (tmp_path / "run").exists()
