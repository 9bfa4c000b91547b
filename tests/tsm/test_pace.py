import numpy as np

from aquila_jax.tsm import pace


def test_a_stuck_step_is_told_and_ordinary_jitter_is_not():
    rng = np.random.default_rng(0)
    state, raised = pace.start(), []
    seconds = 0.2 * np.exp(0.4 * rng.standard_normal(500))
    seconds[0] = 60  # compilation
    seconds[[200, 300]] = 9, 30
    for step, duration in enumerate(seconds.tolist(), 1):
        state, alarm = pace.observe(state, step, duration)
        raised += [alarm] if alarm else []
    assert [alarm.step for alarm in raised] == [201, 301]
    assert raised[0].evidence["seconds"] == 9.0
