import dataclasses
import math
import shlex

import pytest

from aquila_jax.config_file import load_config
from aquila_jax.plan.candidates import applied, as_configured, candidates


def changed(config, **train):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **train))


def test_every_candidate_uses_all_devices_and_divides_the_batch(tiny):
    found = candidates(tiny, 8)
    assert len(set(found)) == len(found) > 20
    for candidate in found:
        sizes = [candidate.data, candidate.fsdp, candidate.tensor, candidate.context]
        assert math.prod(sizes) == 8
        shards = candidate.data * candidate.fsdp
        assert candidate.rows * shards * candidate.accumulate == candidate.batch == 16
        assert tiny.model.kv_heads % candidate.tensor == 0


def test_slices_are_joined_along_data_alone(tiny):
    one, two = candidates(tiny, 8), candidates(tiny, 8, slices=2)
    assert {c.data % 2 for c in two} == {0}
    assert set(two) == {c for c in one if c.data % 2 == 0}


def test_a_candidate_applied_is_what_the_trainer_would_be_given(tiny):
    candidate = candidates(tiny, 8)[0]
    laid_out = applied(tiny, candidate)
    assert as_configured(laid_out, 8) == candidate


def test_the_settings_told_give_the_trainer_that_layout(tiny):
    candidate = next(c for c in candidates(tiny, 8) if len(c.mesh) > 1)
    with pytest.warns(DeprecationWarning, match="load_module"):
        config = load_config("configs/tiny.py", shlex.split(candidate.settings()))
    assert as_configured(config, 8) == candidate


def test_a_batch_that_the_devices_do_not_divide_is_rounded_a_little_or_not_at_all(tiny):
    near = candidates(changed(tiny, batch=1728, accumulate=1), 256)
    assert {c.batch for c in near if c.data * c.fsdp == 256} == {1792}
    assert {c.batch for c in near if c.data * c.fsdp == 64} == {1728}
    far = candidates(changed(tiny, batch=12, accumulate=1), 8)
    assert {c.data * c.fsdp for c in far} == {1, 2, 4}


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        ({"tensor": 4, "fsdp": -1}, r"kv_heads=2 must be a multiple of tensor=4"),
        ({"context": 3, "fsdp": -1}, r"multiply to the 8 devices"),
        ({"fsdp": 16}, r"multiply to the 8 devices"),
        ({"expert": 2, "data": -1}, r"leaves 1 of 2 devices without work"),
        ({"data": -1, "fspd": 4}, r"mesh axes \['fspd'\] do not exist"),
        ({"data": 8}, None),
    ],
)
def test_a_mesh_that_does_not_divide_is_refused(tiny, mesh, message):
    config = changed(tiny, mesh=mesh)
    if message is None:
        assert as_configured(config, 8).rows == 1
        return
    with pytest.raises(ValueError, match=message):
        as_configured(config, 8)


def test_a_micro_batch_must_reach_all_devices(tiny):
    with pytest.raises(ValueError, match=r"micro-batch of 4 sequences.*multiple of data\*fsdp=8"):
        as_configured(changed(tiny, accumulate=4), 8)


def test_heads_that_nothing_divides_are_named(tiny):
    model = dataclasses.replace(tiny.model, heads=3, kv_heads=3, attention="xla")
    config = changed(dataclasses.replace(tiny, model=model), mesh={"tensor": 2, "fsdp": -1})
    with pytest.raises(ValueError, match=r"heads=3 must be a multiple of tensor=2"):
        as_configured(config, 8)
