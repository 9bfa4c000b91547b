"""TensorBoard event files, written with TensorBoard's own records and without TensorFlow."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventWriter:
    """One event file in `folder`; a resumed run opens another, and TensorBoard joins them.

    The first step of a file takes back what earlier files say about that step and all later
    ones, so the steps that a resume left behind do not show.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names, and a name must not come twice.
        name = f"events.out.tfevents.{time.time_ns():020d}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        self._begun = False
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def scalars(self, step: int, when: float, values: Mapping[str, float]) -> None:
        """Writes each value under its tag; `when` in unix seconds."""
        if not self._begun:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=when, step=step, session_log=start))
            self._begun = True
        tagged = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(Event(wall_time=when, step=step, summary=Summary(value=tagged)))

    def _write(self, event: Event) -> None:
        with self._path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())
