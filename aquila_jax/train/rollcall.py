"""Who is there, before JAX is told to join: it ends a process that waits in vain without naming anybody.

Whoever can open the coordinator's address calls the roll there, and leaves it to JAX when all
have come.
"""

import contextlib
import json
import socket
import time


class Absent(RuntimeError):
    """Not all processes came in time."""


def call(address: str, *, count: int, name: str, seconds: float) -> None:
    """Returns once `count` processes have called this; Absent says who came, if not all did."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    try:
        listener = socket.create_server((host, int(port)), backlog=count)
    except OSError:  # not an address of this machine, or another process here was first
        refusal = _answer((host, int(port)), name, deadline, seconds=seconds)
    else:
        with listener:
            refusal = _roll(listener, count, name, deadline=deadline, seconds=seconds)
    if refusal:
        raise Absent(refusal)


def _roll(
    listener: socket.socket, count: int, name: str, *, deadline: float, seconds: float
) -> str:
    came = {name: None}
    while len(came) < count and (left := deadline - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            connection, _ = listener.accept()
            connection.settimeout(5.0)
            came[json.loads(connection.makefile().readline())] = connection
        except (OSError, ValueError):
            continue  # nobody came in time, or it was none of ours
    refusal, gone = "", sorted(who for who, there in came.items() if there and _left(there))
    if len(came) < count:
        refusal = (
            f"only {len(came)} of {count} processes came within {seconds:g} seconds: "
            f"{', '.join(sorted(came))}. See the log of the one that is missing, then run the "
            "same command again."
        )
    elif gone:
        refusal = (
            f"{', '.join(gone)} came and left again before all {count} processes were there. See "
            "the log there, then run the same command again."
        )
    for connection in filter(None, came.values()):
        with connection, contextlib.suppress(OSError):
            connection.sendall(json.dumps(refusal).encode() + b"\n")
            connection.recv(1)  # the other side closes first, so that the port is free for JAX
    return refusal


def _left(connection: socket.socket) -> bool:
    """Whether the other side has closed, or is gone; it says nothing before it is answered."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    finally:
        connection.settimeout(5.0)
    return True


def _answer(address: tuple[str, int], name: str, deadline: float, *, seconds: float) -> str:
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(address, timeout=5.0) as connection:
                connection.sendall(json.dumps(name).encode() + b"\n")
                connection.settimeout(seconds + 5.0)  # the roll may have begun after this process
                return json.loads(connection.makefile().readline())
        except (OSError, ValueError):
            time.sleep(0.5)  # the first process may still be starting
    return (
        f"nobody called the roll at {address[0]}:{address[1]} within {seconds:g} seconds: the "
        "first process is missing. See its log, then run the same command again."
    )
