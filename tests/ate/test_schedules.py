import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aquila_jax.ate.schedules import Schedule, learning_rate, neutral

PLAN = dict(peak=2e-3, warmup=100, total=1000)


def rates(schedule, control=None, batch=10):
    starts = np.arange(0, schedule.total, batch)
    return learning_rate(schedule, starts, control or neutral(schedule), xp=np)


def test_cosine_is_that_of_optax():
    schedule = Schedule(kind="cosine", floor=0.1, **PLAN)
    after_warmup = np.arange(100, 1000, 10)
    reference = optax.cosine_decay_schedule(2e-3, 900, alpha=0.1)(after_warmup - 100)
    ours = learning_rate(schedule, after_warmup, neutral(schedule), xp=np)
    np.testing.assert_allclose(ours, reference, rtol=1e-5)


@pytest.mark.parametrize("kind", ["cosine", "wsd", "linear", "constant"])
def test_host_and_device_agree_and_the_peak_is_reached(kind):
    schedule = Schedule(kind=kind, **PLAN)
    on_device = jax.vmap(lambda n: learning_rate(schedule, n, neutral(schedule)))
    np.testing.assert_allclose(
        on_device(jnp.arange(0, 1000, 10)), rates(schedule), rtol=1e-4, atol=1e-9
    )
    assert rates(schedule)[0] > 0
    assert rates(schedule).max() == pytest.approx(2e-3, rel=1e-2)


def test_the_first_step_after_the_warm_up_is_at_the_peak():
    schedule = Schedule(kind="constant", peak=1.0, warmup=32, total=100)
    assert rates(schedule, batch=16)[:3].tolist() == [1 / 32, 17 / 32, 1.0]
    assert rates(schedule, batch=1)[31] == 1.0 > rates(schedule, batch=1)[30]


def test_wsd_decays_where_the_control_says():
    schedule = Schedule(kind="wsd", **PLAN)
    early = neutral(schedule)._replace(decay_start=500.0, decay_end=600.0)
    assert rates(schedule, early)[49] == pytest.approx(2e-3)
    assert rates(schedule, early)[55] == pytest.approx(2e-3 * (1 - 0.5**0.5))
    assert rates(schedule, early)[60] == 0
    assert rates(schedule)[60] == pytest.approx(2e-3)


def test_the_factor_is_a_factor():
    schedule = Schedule(kind="linear", **PLAN)
    half = neutral(schedule)._replace(lr_scale=0.5)
    np.testing.assert_array_equal(rates(schedule, half), 0.5 * rates(schedule))


def test_impossible_plans_are_refused():
    with pytest.raises(ValueError, match="must be one of"):
        Schedule(kind="step", **PLAN)
    with pytest.raises(ValueError, match="shorten warmup"):
        Schedule(kind="wsd", peak=1.0, warmup=900, total=1000)


def test_a_plan_is_no_longer_than_the_step_can_count():
    last = jnp.iinfo(jnp.int32).max
    schedule = Schedule(kind="constant", peak=1.0, warmup=1, total=last)
    assert learning_rate(schedule, jnp.int32(last), neutral(schedule)) == 1
    assert learning_rate(schedule, jnp.int32(last) + 1, neutral(schedule)) == 0
    with pytest.raises(ValueError, match="make the sequences longer"):
        Schedule(kind="constant", peak=1.0, warmup=1, total=last + 1)
