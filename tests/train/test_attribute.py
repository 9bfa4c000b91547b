import math

import pytest

from aquila_jax.train.attribute import Shown, verdict

BEFORE, ODD = Shown(4.0, 1.0), Shown(6.0, 9.0)


@pytest.mark.parametrize(
    ("again", "other", "whose"),
    [
        (BEFORE, BEFORE, "hardware"),  # it did not come back
        (ODD, BEFORE, "data"),
        (ODD, Shown(5.5, 1.0), "dynamics"),  # it comes back with any batch
        (Shown(math.nan, 1.0), BEFORE, "data"),
        (Shown(4.9, 9.0), BEFORE, "hardware"),  # nearer to the loss before
    ],
)
def test_whose_fault_a_bad_step_was(again, other, whose):
    assert verdict(before=BEFORE, bad=ODD, again=again, other=other) == whose


@pytest.mark.parametrize(
    ("bad", "again", "whose"),
    [
        (Shown(4.1, 9.0), Shown(4.1, 9.0), "data"),  # the gradient stood out, and does again
        (Shown(4.1, 9.0), Shown(4.1, 1.1), "hardware"),
        (Shown(4.1, 0.9), Shown(4.1, 0.9), "unclear"),  # bit for bit the same: not the hardware
        (Shown(math.inf, 1.0), Shown(4.0, 1.0), "hardware"),
    ],
)
def test_a_small_rise_is_judged_by_the_gradient_or_not_at_all(bad, again, whose):
    assert verdict(before=BEFORE, bad=bad, again=again, other=BEFORE) == whose
