"""Who may write to a folder in object storage, which knows no locks: one owner, while it beats.

lease/NNNNNN.json is created by whoever wants the folder, exclusively, with the next number; the
highest number owns. Its owner writes it again and again. One that has stopped changing belongs
to a machine that is gone, and the next number may be taken; so no two clocks are compared.
"""

import json
import os
import socket
import threading
import time
from pathlib import Path

from aquila_jax.dmu import places

SECONDS = 60.0  # without a beat after which an owner counts as gone
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Lease:
    """The right to write to `address`, renewed behind until it is released."""

    def __init__(self, address: str, *, seconds: float = SECONDS):
        self.address, self.folder = address, places.join(address, "lease")
        self.seconds, self.beats = seconds, 0
        before = _newest(self.folder)
        if before and self._alive(before):
            raise self._refusal()
        self.number = before + 1
        if not places.create_bytes(self._file(self.number), self._content()):
            raise self._refusal()
        if before:
            places.remove(self._file(before))
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._renew, daemon=True)
        self.thread.start()

    def require(self) -> None:
        """ValueError if another run has taken the folder over, for whom this one looked dead."""
        if _newest(self.folder) != self.number:
            raise ValueError(
                f"another run has taken over {self.address} while this one did not answer for "
                f"{self.seconds:g} seconds; this one ends."
            )

    def release(self) -> None:
        """Lets the next run have the folder at once; the number is never used again."""
        self.over.set()
        self.thread.join()
        places.write_bytes(self._file(self.number), self._content(over=True))

    def _alive(self, number: int) -> bool:
        """Whether the owner with that number beats; takes up to `seconds` to tell."""
        first, waited = self._read(number), 0.0
        if first is None or first["over"] or _ended_here(first):
            return False
        while waited < self.seconds:
            time.sleep(self.seconds / 16)
            waited += self.seconds / 16
            now = self._read(number)
            if now is None or now["over"]:
                return False  # whoever comes first may have the next number
            if now != first:
                return True
        return False

    def _renew(self) -> None:
        while not self.over.wait(self.seconds / 4):
            self.beats += 1
            try:
                places.write_bytes(self._file(self.number), self._content())
            except OSError:
                continue  # the next beat may come through; if none does, `require` tells

    def _read(self, number: int) -> dict | None:
        try:
            return json.loads(places.read_bytes(self._file(number)))
        except FileNotFoundError:
            return None

    def _file(self, number: int) -> str:
        return places.join(self.folder, f"{number:06d}.json")

    def _content(self, **fields) -> bytes:
        told = {"host": _host(), "process": os.getpid(), "beat": self.beats, "over": False}
        return json.dumps(told | fields).encode()

    def _refusal(self) -> ValueError:
        return ValueError(
            f"another run is at work in {self.address}; wait for it or take another --workdir."
        )


def _newest(folder: str) -> int:
    numbers = [int(name[:6]) for name in places.names(folder) if name[:6].isdecimal()]
    return max(numbers, default=0)


def _host() -> str:
    """This machine since it was started."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    return f"{socket.gethostname()} {boot}"


def _ended_here(owner: dict) -> bool:
    """Whether the owner was a process of this machine that is no more."""
    if owner["host"] != _host():
        return False
    try:
        os.kill(owner["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
