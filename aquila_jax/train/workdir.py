"""The folder of a run: one owner at a time, one configuration for ever, files cut back on resume."""

import contextlib
import fcntl
import json
import time
from pathlib import Path

import jax

from aquila_jax.config import Config, completed, differences, plain
from aquila_jax.core import agree, files
from aquila_jax.core.journal import Journal, Lines
from aquila_jax.dmu import places, staging
from aquila_jax.train.lease import Lease

PUBLISHED = ("*.json", "*.jsonl", "tensorboard/*")
# What may differ when a run goes on: where and how a step is computed, not what is learned from.
FREE = (
    "train.mesh", "train.accumulate", "model.remat", "model.unroll", "model.loss_chunks",
    "optimizer.offload", "train.keep", "train.stall_seconds", "data.store", "prepare.processes",
    "evaluate.rows",
)  # fmt: skip


class Workdir:
    """Opens `path` for one run of `config`; only the process with `writes` touches it.

    A path that stands in for object storage is filled from there first; what it holds is
    published there before each checkpoint, so that every checkpoint finds its lines.
    """

    def __init__(self, path: Path, config: Config, *, writes: bool):
        self.path, self.config = path, config
        self.home, self.published = staging.home(path), {}
        self.writes = writes
        agree.first(self._open)

    @property
    def checkpoints(self) -> str:
        """The folder of the checkpoints: not in the stand-in, but at home."""
        return places.for_orbax(places.join(self.home, "checkpoints"))

    def open_lines(self, host: dict) -> None:
        """Cuts the records back to what the checkpoint with `host` had seen: the run has begun."""
        self.write_json("config.json", plain(self.config))  # what may differ, from now on
        self.journal = Journal(
            self._file("journal.jsonl"),
            keep=host.get("journal_lines", 0),
            last_hash=host.get("journal_hash", ""),
        )
        self.metrics = Lines(self._file("metrics.jsonl"), host.get("metrics_lines", 0))
        self.evaluations = Lines(self._file("evaluations.jsonl"), host.get("evaluation_lines", 0))
        self.metrics.sync()

    def counts(self) -> dict:
        """What `open_lines` needs to come back to here, once disk or storage has all of it."""
        agree.first(self.publish)
        return {
            "journal_lines": self.journal.count,
            "journal_hash": self.journal.hash,
            "metrics_lines": self.metrics.count,
            "evaluation_lines": self.evaluations.count,
        }

    def publish(self) -> None:
        """Returns when the disk has all lines, and object storage where that is home."""
        for lines in (self.journal.lines, self.metrics, self.evaluations):
            lines.sync()
        if staging.is_staged(self.path):
            self.owner.require()
            self.published = staging.publish(self.path, PUBLISHED, self.published)

    def event(self, kind: str, step: int, **fields) -> None:
        """Notes what happened when, by the clock; never cut back."""
        if self.writes:
            line = {"time": time.time(), "kind": kind, "step": step, **fields}
            with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def failed(self, step: int, error: BaseException) -> None:
        """Notes what a run ends by; its first 500 characters, since the log has all of it."""
        with contextlib.suppress(OSError):  # a full disk, which may be the error itself
            self.event("failed", step, why=f"{type(error).__name__}: {error}"[:500])

    def stalled(self, step: int, seconds: float, stacks: str) -> None:
        """A step hangs: keeps what each process was doing; each calls this for itself."""
        self.event("stall", step, seconds=seconds)
        file = places.join(self.home, "stacks", f"{step}-{jax.process_index()}.txt")
        places.write_bytes(file, stacks.encode())
        if self.writes:
            self.publish()

    def write_json(self, name: str, value: dict) -> None:
        """Replaces a small file at once: it is the old one or the new one, never half."""
        if self.writes:
            text = json.dumps(value, ensure_ascii=False, indent=1)
            files.write(self.path / name, text.encode())

    def close(self) -> None:
        """Lets another run have the folder."""
        if self.writes:
            if staging.is_staged(self.path):
                self.publish()
            self._release()

    def _open(self) -> None:
        if staging.is_staged(self.path):
            self.owner = Lease(self.home)
            staging.fetch(self.path)
        else:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
        try:
            self._settle_config()
        except ValueError:
            self._release()
            raise

    def _release(self) -> None:
        if staging.is_staged(self.path):
            self.owner.release()
        else:
            self.owner.close()

    def _file(self, name: str) -> Path | None:
        return self.path / name if self.writes else None

    def _lock(self) -> None:
        self.owner = (self.path / ".lock").open("a")
        try:
            fcntl.flock(self.owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.owner.close()
            raise ValueError(
                f"another run is at work in {self.home}; wait for it or take another --workdir."
            ) from error

    def _settle_config(self) -> None:
        file, here = self.path / "config.json", plain(self.config)
        steps = self.path / "metrics.jsonl"
        # Before the first step nothing depends on it: what was refused so far may be set right.
        if not (file.exists() and steps.exists() and steps.stat().st_size):
            self.write_json("config.json", here)
            return
        lines = differences(saved_config(self.path), here)
        changed = [line for line in lines if not line.startswith(FREE)]
        if changed:
            raise ValueError(
                f"{self.home} belongs to another configuration ({'; '.join(changed[:4])}); "
                "take another --workdir, or set these back."
            )


def saved_config(folder: Path) -> dict:
    """The plain configuration that the run in `folder` was started with; ValueError without one.

    Settings that an older version did not have, have their defaults.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} is no run: it has no config.json; name the folder of a run.")
    try:
        return completed(Config, json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{file} cannot be read ({error}): it was edited or is damaged; put it back."
        ) from error
