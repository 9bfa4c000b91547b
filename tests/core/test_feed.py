"""Which rows a process reads, and that they come to the devices that hold them."""

import jax
import numpy as np
import pytest

from aquila_jax.core import feed, sharding


@pytest.fixture(scope="module")
def eight():
    return sharding.make_mesh({"data": 2, "fsdp": 4}, jax.devices()[:8])


def test_a_process_reads_just_the_rows_that_its_devices_hold(eight, monkeypatch):
    """A host of a torus holds a block of it: its rows need not lie side by side."""
    shape = (1, 16, 8)
    every = list(feed._indices(jax.NamedSharding(eight, feed._LAYOUT), shape))
    assert feed.local_rows(eight, shape).tolist() == list(range(16))
    monkeypatch.setattr(feed, "_indices", lambda *_: [every[i] for i in (0, 1, 4, 5)])
    assert feed.local_rows(eight, shape).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_rows_that_do_not_divide_are_refused(eight):
    with pytest.raises(ValueError, match="a micro-batch of 12 sequences of 8 tokens must divide"):
        feed.local_rows(eight, (1, 12, 8))
    assert np.array_equal(feed.local_rows(eight, (2, 8, 8)), np.arange(8))
