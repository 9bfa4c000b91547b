"""The real train step on eight devices: compiled ahead, written, loaded, and the same."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest

from aquila_jax.core import sharding
from aquila_jax.core.signals import Batch, Control
from aquila_jax.plan import cache, executable
from aquila_jax.plan.candidates import as_configured
from aquila_jax.train import ahead
from aquila_jax.train.step import train_step

MESH = {"data": 2, "fsdp": 2, "tensor": 2}


@pytest.fixture(scope="module")
def eight():
    mesh = sharding.make_mesh(MESH)
    with jax.set_mesh(mesh):
        yield mesh


@pytest.fixture(scope="module")
def small(tiny):
    model = dataclasses.replace(
        tiny.model, layers=1, embed=32, ffn=64, head_dim=8, loss_chunks=1, compute_dtype="float32"
    )
    data = dataclasses.replace(tiny.data, length=16)
    train = dataclasses.replace(tiny.train, batch=4, accumulate=1, mesh=MESH)
    return dataclasses.replace(tiny, model=model, data=data, train=train)


@pytest.fixture(scope="module", autouse=True)
def nothing_cached():
    """On a CPU a program that comes from JAX's cache cannot be saved whole: functions are missing."""
    name = "jax_persistent_cache_min_compile_time_secs"
    usual = getattr(jax.config, name)
    jax.config.update(name, 1e9)
    yield
    jax.config.update(name, usual)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, small, eight):
    """The file of the program, and shapes and layouts of the state that it takes."""
    file = tmp_path_factory.mktemp("programs") / "here" / "step.bin"
    lowered, state = ahead.lower(small, eight)
    fingerprint = cache.fingerprint(small, as_configured(small, 8))
    executable.save(lowered.compile(), file, fingerprint=fingerprint)
    return file, state


def inputs(like, config, mesh):
    """A state, a packed batch and a control, placed as a run places them."""
    random = np.random.default_rng(0)

    def fill(leaf):
        values = random.normal(0, 0.1, leaf.shape) ** 2
        return jax.device_put(values.astype(leaf.dtype), leaf.sharding)

    shape = (1, config.train.batch, config.data.length)
    half = np.broadcast_to(np.arange(shape[2]) >= 7, shape)
    tokens = random.integers(0, config.model.vocab, shape)
    batch = Batch(
        tokens=tokens, targets=np.roll(tokens, -1), segment_ids=1 + half,
        positions=np.broadcast_to(np.arange(shape[2]), shape) - 7 * half,
        loss_mask=np.ones(shape, np.float32), domain_ids=0 * tokens,
    )  # fmt: skip
    layout = jax.NamedSharding(mesh, jax.P(None, *sharding.spec("BL")))
    batch = Batch(*(x if x.dtype == np.float32 else x.astype(np.int32) for x in batch))
    control = Control(*map(np.float32, [1.0] * len(Control._fields)))
    control = control._replace(loss_limit=np.float32(1e9), grad_norm_limit=np.float32(1e9))
    return jax.tree.map(fill, like), jax.device_put(batch, layout), jax.device_put(control)


def test_the_loaded_step_computes_what_the_jitted_one_does(saved, small, eight):
    file, like = saved
    step = ahead.load(small, eight, file)
    found = step(*inputs(like, small, eight))
    expected = train_step(ahead.program(small), *inputs(like, small, eight))
    assert found[1].skipped == 0 and found[1].loss > 1
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    jax.tree.map(lambda a, b: a.sharding.is_equivalent_to(b.sharding, a.ndim), found, expected)
    assert [path.name for path in file.parent.iterdir()] == ["step.bin"]


def test_a_program_of_another_making_is_refused(saved, small, eight, tmp_path):
    file, _ = saved
    wider = dataclasses.replace(small, model=dataclasses.replace(small.model, ffn=128))
    with pytest.raises(ValueError, match="another configuration"):
        ahead.load(wider, eight, file)
    kept = pickle.loads(file.read_bytes())
    kept["versions"]["libtpu"] = "0.0.1"
    other = tmp_path / "other.bin"
    other.write_bytes(pickle.dumps(kept))
    with pytest.raises(ValueError, match=r"compiled with .*0\.0\.1"):
        ahead.load(small, eight, other)


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[: len(b) // 2],
        lambda b: b"",
        lambda b: b"hello",
        lambda b: b"Fine.\n.",  # ValueError: no float
        lambda b: b"cnowhere\nx\n.",  # ImportError
        lambda b: b"cpickle\nnothing\n.",  # AttributeError
        lambda b: b"0.",  # IndexError or UnpicklingError
        lambda b: pickle.dumps({"program": b"", "trees": ()}),
    ],
)
def test_half_a_program_is_no_program(saved, small, eight, tmp_path, damage):
    file = tmp_path / "damaged.bin"
    file.write_bytes(damage(saved[0].read_bytes()))
    with pytest.raises(ValueError, match="no compiled step"):
        ahead.load(small, eight, file)
    with pytest.raises(ValueError, match="does not exist"):
        ahead.load(small, eight, file.with_name("none"))
