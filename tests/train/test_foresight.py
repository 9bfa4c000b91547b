import dataclasses
import json

import numpy as np
import pytest

from aquila_jax.ate.schedules import Schedule, neutral
from aquila_jax.model.config import ModelConfig
from aquila_jax.train.foresight import Foresight, plan
from aquila_jax.train.mentor import Mentor
from aquila_jax.tsm import history, law
from tests.train import small as small_run

STEPS, BATCH = 4000, 8
MODEL = ModelConfig(
    vocab=32_000, layers=12, embed=768, ffn=2048, heads=12, kv_heads=12, head_dim=64
)
SCHEDULE = Schedule(kind="wsd", peak=1e-3, warmup=100 * BATCH, total=STEPS * BATCH)
TRUTH = law.Parameters(2.7, 1.05, 0.45, 0.14)


def half_way():
    """What is seen of a run of a known law at its half, and the whole curve."""
    control, batches = neutral(SCHEDULE), ((1, BATCH),)
    now = plan(SCHEDULE, control, batches, history.start(1))
    where = law.coordinates(now, law.memory(STEPS))
    loss = law.curve(TRUTH, where.progress, where.annealing)
    seen = history.start(1)
    for step in range(1, STEPS // 2 + 1):
        noisy = loss[step - 1] + 0.002 * np.sin(9.0 * step)
        seen = history.add(
            seen, step=step, tokens=100.0 * step, learning_rate=now.learning_rate[step - 1], batch=BATCH,
            sums_M=np.array([[100 * noisy], [100.0]]),
        )  # fmt: skip
    return seen, loss


def planned(model, length):
    """The foresight of that run."""
    return Foresight(
        model=model, length=length, schedule=SCHEDULE, batches=((1, BATCH),), domains=("a",),
        control=neutral(SCHEDULE), calibrations={},
    )  # fmt: skip


def test_the_mentor_s_foresight_is_of_its_own_run():
    config = small_run.config("store")
    told = Mentor(config, {"a": "en"}, {}).foresight(neutral(config.schedule), ((1, BATCH),))
    assert (told.length, told.model) == (config.data.length, config.model)
    assert (told.schedule, told.domains) == (config.schedule, ("a",))


@pytest.fixture(scope="module")
def outlook():
    seen, loss = half_way()
    return planned(MODEL, 2048).outlook(seen, float(loss[2999])), loss


def test_a_small_model_on_longer_sequences_is_believed_to_anneal_less():
    """Four times the tokens a step: half of the temperature, 2^(3/4) of the drop."""
    seen, _ = half_way()
    small = dataclasses.replace(MODEL, vocab=512, layers=1, embed=64, ffn=128, heads=4, kv_heads=4)
    short, long = (planned(small, length)(seen, None).parameters["drop"] for length in (4, 16))
    assert short / long == pytest.approx(2**0.75, rel=0.02)


def test_a_forecast_comes_with_the_plan_it_is_of(outlook):
    told, _ = outlook
    assert told["plan"] == {
        "total_steps": 4000, "total_sequences": 32_000, "schedule": "wsd", "peak": 1e-3,
        "decay_start": 3400, "decay_end": 4000, "batch": 8,
    }  # fmt: skip
    assert json.loads(json.dumps(told)) == told


def test_when_a_target_is_reached_and_what_other_schedules_give(outlook):
    told, loss = outlook
    target = told["target"]
    assert target["step"] == pytest.approx(3000, rel=0.05)
    assert target["sequences"] == BATCH * target["step"]
    assert target["earliest"] is None and target["chance"] is None  # no calibration, no band
    assert told["schedules"]["0.15"] == pytest.approx(loss[-1], abs=0.02)
    assert set(told["schedules"]) >= {"now", "0.4", "0.05"}


@pytest.mark.parametrize("warmup", [3, 100 * BATCH, 100 * BATCH + 3])
def test_rates_are_in_units_of_the_peak_wherever_the_warm_up_ends(warmup):
    schedule = Schedule(kind="constant", peak=1e-3, warmup=warmup, total=STEPS * BATCH)
    where = law.coordinates(
        plan(schedule, neutral(schedule), ((1, BATCH),), history.start(1)), law.memory(STEPS)
    )
    assert where.temperature.max() == where.temperature[-1] == 1
    np.testing.assert_array_equal(where.annealing, 0)


def test_a_run_may_be_warm_up_alone():
    schedule = Schedule(kind="linear", peak=1e-3, warmup=400, total=400)
    assert plan(schedule, neutral(schedule), ((1, BATCH),), history.start(1)).steps == 50


def changed(at, factor, *, kind="wsd", until=STEPS * 3 // 5):
    """A run of a known law whose rate was multiplied at a step: its foresight, history and losses."""
    schedule = Schedule(kind=kind, peak=1e-3, warmup=100 * BATCH, total=STEPS * BATCH)
    control, batches = neutral(schedule), ((1, BATCH),)
    planned = plan(schedule, control, batches, history.start(1))
    rates = planned.learning_rate * np.where(np.arange(1, STEPS + 1) > at, factor, 1.0)
    highest = 1e-3 * (max(1.0, factor) if at else factor)
    unit = np.where(np.arange(STEPS) == planned.warmup, highest, rates)
    taken = law.Plan(learning_rate=unit, batch=planned.batch, warmup=planned.warmup)
    where = law.coordinates(taken, law.memory(STEPS))
    loss = law.curve(TRUTH, where.progress, where.annealing)
    seen = history.start(1)
    for step in range(1, until + 1):
        seen = history.add(
            seen, step=step, tokens=100.0 * step, learning_rate=rates[step - 1], batch=BATCH,
            sums_M=np.array([[100 * loss[step - 1]], [100.0]]),
        )  # fmt: skip
    foresight = Foresight(
        model=MODEL, length=2048, schedule=schedule, batches=batches, domains=("a",),
        control=control._replace(lr_scale=factor), calibrations={},
    )  # fmt: skip
    return foresight, seen, loss, taken


@pytest.mark.parametrize("kind", ["wsd", "cosine"])
@pytest.mark.parametrize(
    ("at", "factor"), [(0, 1.0), (0, 0.3), (1200, 0.5), (2000, 0.1), (2000, 2)]
)
def test_the_forecast_knows_at_which_rates_the_steps_were_taken(at, factor, kind):
    foresight, seen, loss, taken = changed(at, factor, kind=kind)
    np.testing.assert_allclose(foresight._plan(seen).learning_rate, taken.learning_rate, rtol=0.02)
    assert foresight(seen, None).final_loss == pytest.approx(loss[-1], abs=0.01)


def test_a_rate_of_nought_for_a_moment_is_no_unit():
    none, control = history.start(1), neutral(SCHEDULE)._replace(lr_scale=0.0)
    rates = plan(SCHEDULE, control, ((1, BATCH),), none).learning_rate
    assert rates[100] > 0 and rates.sum() == rates[100]


def test_a_decay_that_is_over_before_the_warm_up_ends_no_run():
    control = neutral(SCHEDULE)._replace(decay_start=0.0, decay_end=1.0)
    now = plan(SCHEDULE, control, ((1, BATCH),), history.start(1))
    assert now.learning_rate[now.warmup] == SCHEDULE.peak and not now.learning_rate[150:].any()
    seen, _ = half_way()
    dataclasses.replace(planned(MODEL, 2048), control=control).outlook(seen, 3.0)


def test_a_batch_that_grew_with_the_root_of_its_rate_leaves_the_temperature():
    schedule = Schedule(kind="constant", peak=1e-3, warmup=100 * BATCH, total=STEPS * BATCH)
    control = neutral(schedule)._replace(lr_scale=2**0.5)
    seen, batches = history.start(1), ((1, BATCH), (1001, 2 * BATCH))
    planned = plan(schedule, neutral(schedule), batches, seen).learning_rate
    for step in range(1, 1501):
        rate = planned[step - 1] * (2**0.5 if step > 1000 else 1)
        batch = BATCH if step <= 1000 else 2 * BATCH
        seen = history.add(seen, step=step, tokens=1.0, learning_rate=rate, batch=batch,
                           sums_M=np.ones((2, 1)))  # fmt: skip
    where = law.coordinates(plan(schedule, control, batches, seen), law.memory(STEPS))
    np.testing.assert_allclose(where.temperature[101:], 1, rtol=1e-6)
