"""All come, or each is told who did."""

import concurrent.futures
import contextlib
import socket
import struct
import time

import pytest

from aquila_jax.train import distributed, rollcall
from tests.train import jobs


def answers(names: list[str], count: int, seconds: float) -> list[str]:
    address = f"127.0.0.1:{jobs.free_port()}"

    def one(name: str) -> str:
        try:
            rollcall.call(address, count=count, name=name, seconds=seconds)
        except rollcall.Absent as absent:
            return str(absent)
        return ""

    with concurrent.futures.ThreadPoolExecutor(len(names)) as threads:
        said = list(threads.map(one, names))
    host, _, port = address.partition(":")
    socket.create_server((host, int(port))).close()  # it is free for JAX now
    return said


def test_all_go_on_when_all_have_come():
    assert answers([f"host-{i}" for i in range(4)], 4, 20.0) == [""] * 4


def test_who_came_is_named_to_all_when_one_stays_away():
    for said in answers(["host-0", "host-2"], 3, 1.5):
        assert "only 2 of 3 processes came within 1.5 seconds: host-0, host-2." in said


def test_the_first_process_may_be_the_one_that_is_missing():
    with socket.socket() as other:  # holds the port, and answers nobody
        other.bind(("127.0.0.1", 0))
        with pytest.raises(rollcall.Absent, match="the first process is missing"):
            address = f"127.0.0.1:{other.getsockname()[1]}"
            rollcall.call(address, count=2, name="host-1", seconds=0.6)


@pytest.mark.parametrize("address", ["host", "host:", ":8476", "host:train"])
def test_an_address_without_a_port_is_refused_in_a_sentence(monkeypatch, address):
    monkeypatch.setenv("AQUILA_COORDINATOR", address)
    monkeypatch.setenv("AQUILA_PROCESSES", "2")
    with pytest.raises(ValueError, match=f"AQUILA_COORDINATOR={address} must read HOST:PORT"):
        distributed.start()


def test_one_that_came_and_left_again_is_named_to_the_others():
    address = f"127.0.0.1:{jobs.free_port()}"
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(
            rollcall.call, address, count=3, name="host-0", seconds=20.0
        )  # fmt: skip
        for name in ("host-1", "host-2"):
            there = connected(address)
            there.sendall(f'"{name}"\n'.encode())
            if name == "host-1":
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                there.close()  # at once, as the system does for a process that dies
        with pytest.raises(rollcall.Absent, match="host-1 came and left again"):
            waiting.result(timeout=30)
        assert b"host-1 came and left again" in there.recv(1000)
        there.close()


def connected(address: str) -> socket.socket:
    host, _, port = address.partition(":")
    for _ in range(100):
        with contextlib.suppress(OSError):
            return socket.create_connection((host, int(port)), timeout=20.0)
        time.sleep(0.05)
    raise AssertionError("nobody calls the roll")
