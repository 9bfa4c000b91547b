"""What a configuration refuses by itself, in a sentence."""

import pytest

from aquila_jax.config import TrainConfig


@pytest.mark.parametrize("changes", [{"heavy_every": 0}, {"lag": -1}])
def test_a_run_that_could_not_take_a_step_is_refused(changes):
    [(name, value)] = changes.items()
    with pytest.raises(
        ValueError, match=rf"train\.{name}={value} (must be at least 1|not below 0)"
    ):
        TrainConfig(**changes)
