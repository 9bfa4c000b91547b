import dataclasses

import pytest

from aquila_jax.model.config import AQUILA2, flops_per_token
from aquila_jax.plan import chips, roofline, sketch
from aquila_jax.plan.candidates import Candidate, candidates
from aquila_jax.plan.roofline import Times

LENGTH = 4096


def hardware(model, context=1):
    return roofline.hardware_flops_per_token(model, LENGTH, context=context)


def test_a_step_takes_as_long_as_its_slowest_part():
    times = Times(compute=2.0, memory=1.0, links=3.0)
    assert (times.step, times.serial, times.bound) == (3.0, 6.0, "links")
    assert times.rank > Times(compute=3.0, memory=1.0, links=1.0).rank


def test_repeating_the_forward_pass_costs_a_third_of_the_layers_products():
    model = dataclasses.replace(AQUILA2["7b"], attention="xla")
    flops = {
        remat: hardware(dataclasses.replace(model, remat=remat))
        for remat in ("none", "dots_saveable", "nothing_saveable")
    }
    assert flops["none"] == flops_per_token(model, LENGTH)
    head = 6 * model.vocab * model.embed
    assert flops["nothing_saveable"] - flops["none"] == pytest.approx((flops["none"] - head) / 3)
    assert flops["none"] < flops["dots_saveable"] < flops["nothing_saveable"]


@pytest.mark.parametrize(
    ("attention", "head_dim", "context", "products"),
    [
        ("xla", 128, 1, 6),
        ("auto", 128, 1, 9),
        ("auto", 64, 1, 6),  # splash refuses such heads
        ("auto", 128, 4, 9),
        ("auto", 64, 4, 12),  # XLA computes both halves there
        ("auto", 128, 64, 12),  # parts of 64 tokens
        ("ring", 128, 4, 14),
        ("cudnn", 128, 1, 12),
    ],
)
def test_attention_costs_what_the_kernel_that_runs_computes(attention, head_dim, context, products):
    model = dataclasses.replace(AQUILA2["7b"], attention=attention, head_dim=head_dim, remat="none")
    scores = model.layers * LENGTH * model.heads * head_dim
    beyond = hardware(model, context) - flops_per_token(model, LENGTH)
    assert beyond == pytest.approx((products - 6) * scores)


@pytest.mark.parametrize(("name", "devices"), [("v5p-128", 64), ("tpu7x-128", 128)])
def test_utilisation_days_and_cost_of_a_hand_made_step(name, devices):
    """64 chips each; what is paid for is a chip, also where it is two devices."""
    slice_ = chips.find(name)
    tokens = 4_000_000
    at_peak = tokens * 1e10 / (devices * slice_.chip.flops)
    times = Times(compute=2 * at_peak, memory=at_peak, links=0.0)
    found = roofline.figures(times, slice_=slice_, tokens=tokens, model_flops=1e10, target=10**12)
    assert found["utilisation"] == pytest.approx(1 / 2)
    assert found["utilisation_serial"] == pytest.approx(1 / 3)
    assert found["tokens_per_day"] == pytest.approx(tokens / (2 * at_peak) * 24 * 3600)
    assert found["days"] * found["tokens_per_day"] == pytest.approx(1e12)
    assert found["tokens_per_second_per_chip"] == pytest.approx(tokens / (2 * at_peak) / 64)
    assert roofline.cost(10, slice_, 4.2) == pytest.approx(10 * 24 * 64 * 4.2)


def pick(config, **wanted):
    found = candidates(config, 64)
    return next(
        c for c in found if all(getattr(c, name) == value for name, value in wanted.items())
    )


def test_sketches_order_layouts_as_physics_does(tiny):
    train = dataclasses.replace(tiny.train, batch=256, accumulate=1)
    data = dataclasses.replace(tiny.data, length=LENGTH)
    config = dataclasses.replace(tiny, model=AQUILA2["7b"], train=train, data=data)
    remat = "nothing_saveable"
    sharded = pick(config, fsdp=64, rows=1, remat=remat)
    replicated = pick(config, data=64, rows=1, remat=remat)
    keeping = pick(config, fsdp=64, rows=1, remat="dots_with_no_batch_dims_saveable")
    larger = pick(config, fsdp=64, rows=4, remat=remat)
    assert sketch.memory(config, sharded) < sketch.memory(config, keeping)
    assert sketch.memory(config, sharded) < sketch.memory(config, larger)
    state = 12 * 7.296e9
    assert sketch.memory(config, replicated) > state > 10 * sketch.memory(config, sharded) / 64
    slice_ = chips.find("v5p-128")
    times = {c: sketch.times(config, c, slice_) for c in (sharded, keeping, larger)}
    assert times[keeping].compute < times[sharded].compute
    assert times[larger].links < times[sharded].links
    assert isinstance(sharded, Candidate)


def test_an_axis_spans_as_many_dimensions_as_it_needs():
    v5p = chips.find("v5p-512")  # 4 x 8 x 8
    assert [sketch.dimensions(size, v5p) for size in (2, 8, 64, 256)] == [1, 1, 2, 3]
