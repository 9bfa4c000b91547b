"""Ends a process in which a step does not end: a reader, a device or another host hangs."""

import faulthandler
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import TypeVar

T, U = TypeVar("T"), TypeVar("U")
GRACE = 60.0  # seconds to tell somebody, who may hang too


class Watchdog:
    """While armed, a stall of `seconds` prints all stacks, is told, and ends the process.

    Nothing that hangs can be undone from inside; what was saved is whole, and the same command
    goes on from there. Not for what compiles, which may take longer than any step.
    """

    def __init__(self, seconds: float, told: Callable[[float, str], None]):
        self.seconds, self.told = seconds, told
        self.changed = threading.Condition()
        self.armed, self.beats, self.closed = False, 0, False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def arm(self) -> None:
        """A step begins."""
        self._set(armed=True)

    def rest(self) -> None:
        """What follows is no step and may take its time."""
        self._set(armed=False)

    def during(self, wait: Callable[[T], U], for_: T) -> U:
        """What `wait` returns, which is waited for under watch."""
        self.arm()
        found = wait(for_)
        self.rest()
        return found

    def close(self) -> None:
        """Ends the thread."""
        self.closed = True
        self._set(armed=False)
        self.thread.join()

    def _set(self, *, armed: bool) -> None:
        with self.changed:
            self.armed, self.beats = armed, self.beats + 1
            self.changed.notify()

    def _watch(self) -> None:
        with self.changed:
            while not self.closed:
                beats = self.beats
                moved = self.changed.wait(self.seconds if self.armed else None)
                if not moved and self.armed and beats == self.beats:
                    break
        if not self.closed:
            self._end()

    def _end(self) -> None:
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file=file, all_threads=True)
            file.seek(0)
            stacks = file.read()
        print(stacks, file=sys.__stderr__, flush=True)
        telling = threading.Thread(target=self.told, args=(self.seconds, stacks), daemon=True)
        telling.start()
        telling.join(GRACE)
        os._exit(os.EX_TEMPFAIL)
