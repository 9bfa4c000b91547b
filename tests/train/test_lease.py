"""One owner of a folder in storage, and the next one when it is gone."""

import concurrent.futures
import json
import threading
import time
import types

import pytest

from aquila_jax.dmu import places
from aquila_jax.train import lease
from aquila_jax.train.lease import Lease

BEAT = 0.4  # seconds instead of a minute


@pytest.fixture
def address(request):
    return f"memory://lease/{request.node.name}"


def stop_beating(owner: Lease) -> None:
    """As when its machine is gone."""
    owner.over.set()
    owner.thread.join()


@pytest.fixture
def at_once(monkeypatch):
    """Nobody may wait."""
    monkeypatch.setattr(lease, "time", types.SimpleNamespace(sleep=lambda _: pytest.fail("waits")))


def edit(owner: Lease, **fields) -> None:
    file = owner._file(owner.number)
    told = json.loads(places.read_bytes(file)) | fields
    places.write_bytes(file, json.dumps(told).encode())


def test_while_one_beats_another_is_refused(address):
    owner = Lease(address, seconds=BEAT)
    with pytest.raises(ValueError, match=f"another run is at work in {address}"):
        Lease(address, seconds=BEAT)
    owner.require()
    owner.release()


def test_one_that_was_released_is_free_at_once(address, at_once):
    Lease(address).release()
    Lease(address).release()


def test_one_that_does_not_beat_is_taken_over_and_learns_of_it(address):
    first = Lease(address, seconds=BEAT)
    stop_beating(first)
    edit(first, host="another machine")
    begun = time.monotonic()
    second = Lease(address, seconds=BEAT)
    assert time.monotonic() - begun >= BEAT
    with pytest.raises(ValueError, match=f"another run has taken over {address}"):
        first.require()
    places.write_bytes(first._file(first.number), first._content())  # a late beat
    second.require()
    second.release()


def test_a_process_of_this_machine_that_is_no_more_needs_no_waiting(address, at_once):
    first = Lease(address)
    stop_beating(first)
    edit(first, process=2**22 + 1)  # above the largest that Linux gives
    Lease(address).release()


def test_of_many_that_come_at_once_one_gets_it(address, monkeypatch):
    """Storage creates for one alone; the one in memory looks first and writes then."""
    lock, create = threading.Lock(), places.create_bytes

    def alone(*given):
        with lock:
            return create(*given)

    monkeypatch.setattr(places, "create_bytes", alone)
    first = Lease(address)
    stop_beating(first)
    edit(first, process=2**22 + 1)

    def attempt(_):
        try:
            return Lease(address, seconds=BEAT)
        except ValueError:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        owners = [owner for owner in threads.map(attempt, range(8)) if owner]
    assert len(owners) == 1
    owners[0].require()
    owners[0].release()


def test_this_machine_has_a_name_that_changes_with_every_start():
    assert lease._host() == lease._host() and lease._host().strip()
