"""Work comes back with its index, from one process or several, and its errors too."""

import functools
import os

import pytest

from aquila_jax.dmu.processes import spread


def square(number: int) -> int:
    if number == 13:
        raise ValueError("13 is not squared.")
    return number**2


@pytest.mark.parametrize("work", [square, functools.partial(pow, exp=2)])
def test_one_process_works_in_order_right_here(work):
    assert list(spread(work, [3, 1, 2], 1)) == [(0, 9), (1, 1), (2, 4)]
    assert list(spread(work, [5], 8)) == [(0, 25)]
    assert list(spread(work, [], 8)) == []


def test_several_processes_give_the_same_and_errors_reach_the_caller():
    power = functools.partial(pow, 2)  # of a module that a spawned process finds at once
    assert dict(spread(power, range(9), 2)) == {i: 2**i for i in range(9)}
    with pytest.raises(TypeError):
        list(spread(power, [1, "a"], 2))


def test_a_killed_worker_is_one_sentence():
    with pytest.raises(ValueError, match="a worker process was killed"):
        # As if the system had killed it.
        list(spread(os._exit, [9, 9], 2))


def test_an_error_in_this_process_is_not_hidden():
    with pytest.raises(ValueError, match="13 is not squared"):
        list(spread(square, [1, 13], 1))
