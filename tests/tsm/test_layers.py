import numpy as np
import pytest

from aquila_jax.tsm import layers

SETTINGS = layers.LayerSettings()


def run(change=lambda step, values: values, *, count=6, steps=1000, seed=0):
    """Alarms of a healthy model of `count` layers with a planted change."""
    rng = np.random.default_rng(seed)
    state, raised = layers.start(count), []
    for step in range(1, steps + 1):
        rate = 1e-3 * min(1, step / 100)
        values = {
            "grad_norm_N": (1 + 5 * np.exp(-step / 50)) * np.exp(0.3 * rng.standard_normal(count)),
            "update_rms_N": rate
            * (0.2 + np.exp(-step / 20))
            * np.exp(0.15 * rng.standard_normal(count)),
            "weight_rms_N": 0.02 * (1 + np.arange(count) / count) * (1 + step / 2000),
        }
        state, alarms = layers.observe(
            SETTINGS, state, step=step, learning_rate=rate, **change(step, values)
        )
        raised += alarms
    return raised


def times(name, layer, factor, since, until=10**9):
    def change(step, values):
        if since <= step < until:
            values[name] = values[name] * np.where(np.arange(len(values[name])) == layer, factor, 1)
        return values

    return change


@pytest.mark.parametrize("count", [1, 2, 3, 24])
def test_healthy_layers_are_silent(count):
    assert run(count=count) == []


@pytest.mark.parametrize(
    "change,kind,what",
    [
        (times("grad_norm_N", 2, 1e-6, 500), "dead_layer", None),
        (times("grad_norm_N", 2, 0.0, 1), "dead_layer", None),
        (times("grad_norm_N", 2, 100.0, 500), "exploding_layer", "gradient norm"),
        (times("weight_rms_N", 2, 5.0, 500), "exploding_layer", "weight rms"),
        (times("update_rms_N", 2, 6.0, 500, 540), "update_jump", None),
    ],
)
def test_the_odd_layer_is_named_once(change, kind, what):
    raised = run(change)
    assert [(a.kind, a.evidence["layer"], a.evidence.get("what")) for a in raised] == [
        (kind, 2, what)
    ]
    assert raised[0].step <= 500 + SETTINGS.every * (SETTINGS.dead_checks + 1)


def test_updates_that_always_vary_are_no_jump():
    rng = np.random.default_rng(1)

    def change(step, values):
        spread = np.exp(0.7 * rng.standard_normal(len(values["update_rms_N"])))
        return values | {"update_rms_N": values["update_rms_N"] * spread}

    assert run(change) == []


def test_a_change_of_the_whole_model_is_no_layers_fault():
    def change(step, values):
        if step > 500:
            values["grad_norm_N"] = values["grad_norm_N"] * 100
            values["weight_rms_N"] = values["weight_rms_N"] * 5
        return values

    assert run(change) == []


def test_a_lasting_new_level_becomes_the_past():
    def change(step, values):
        if step >= 500:
            values["update_rms_N"] = values["update_rms_N"] * 6
        if 950 <= step < 970:
            values["update_rms_N"] = values["update_rms_N"] * 6
        return values

    raised = run(change)
    assert [alarm.step // 100 for alarm in raised if alarm.evidence["layer"] == 0] == [5, 9]


def test_the_past_does_not_learn_from_what_it_flags():
    twice = times("grad_norm_N", 2, 100.0, 500, 700), times("grad_norm_N", 2, 100.0, 740, 840)
    first, second = run(lambda step, values: twice[1](step, twice[0](step, values)))
    assert second.step > 740
    assert min(alarm.evidence["ratio"] for alarm in (first, second)) > 40


def test_a_young_run_has_no_past_to_be_judged_by():
    young = SETTINGS.every * SETTINGS.minimum
    assert run(times("grad_norm_N", 2, 100.0, young // 2, young - 20)) == []
    assert run(times("update_rms_N", 2, 6.0, young // 2, young - 20)) == []


def test_numbers_that_are_not_finite_are_left_alone():
    def change(step, values):
        if step % 7 == 0:
            values["grad_norm_N"] = values["grad_norm_N"] * np.nan
        return values

    assert run(change) == []
