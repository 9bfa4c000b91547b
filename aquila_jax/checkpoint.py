"""Atomic, asynchronous checkpoints by Orbax: the train state and the host's state as one step."""

import os
from collections.abc import Callable
from typing import Any

import jax
import orbax.checkpoint as ocp

from aquila_jax.core import trees

# Where TensorFlow happens to be installed Orbax would reach gs:// through it: another client of
# storage, with its own credentials, than the rest of the run has.
os.environ.setdefault("EPATH_USE_TF", "false")


class CheckpointError(ValueError):
    """A save that failed, or a folder in which no checkpoint is whole."""


class Checkpoints:
    """The checkpoints of one run, newest kept, each `keep_every`-th kept for ever.

    `keep` None is for who only reads: a run that is saving there just now is left in peace.
    """

    def __init__(self, folder: str, *, keep: int | None, keep_every: int | None = None):
        self.folder = str(folder)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            keep_period=keep_every,
            cleanup_tmp_directories=keep is not None,
            read_only=keep is None,
        )
        self.manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, step: int, state: Any, host: dict) -> None:
        """Copies `state` off the device and returns; the writing goes on behind."""
        host = host | {"fingerprint": int(trees.fingerprint(state))}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), host=ocp.args.JsonSave(host))
        self.wait()  # the last one may have failed on its way
        try:
            self.manager.save(step, args=items, force=True)
        except OSError as error:
            raise self._unsaved(error) from error

    def wait(self) -> None:
        """Returns when the last save is whole on disk."""
        try:
            self.manager.wait_until_finished()
        except OSError as error:
            raise self._unsaved(error) from error
        except ValueError as error:  # how TensorStore reports a full disk
            raise self._unsaved(error) from error

    def steps(self) -> list[int]:
        """The steps that are whole, oldest first."""
        return sorted(self.manager.all_steps())

    def restore(
        self, abstract_state: Any, *, step: int | None = None, report: Callable[[str], None]
    ) -> tuple[Any, dict] | None:
        """The newest undamaged (state, host), or that of `step`; None if none was ever made.

        A damaged one is reported, left out, and the one before it taken.
        """
        steps = [step] if step is not None else self.steps()[::-1]
        for candidate in steps:
            try:
                return self._restore(candidate, abstract_state)
            except Exception as error:  # noqa: BLE001 (Orbax raises a bare Exception for a cut array)
                first_line = str(error).strip().splitlines()[0][:200] if str(error) else ""
                report(
                    f"checkpoint {candidate} in {self.folder} is damaged and left out: "
                    f"{type(error).__name__}: {first_line}"
                )
        if steps:
            raise CheckpointError(
                f"no checkpoint in {self.folder} is whole (tried {steps}); "
                "remove the folder to start from the beginning."
            )
        return None

    def discard_after(self, step: int) -> None:
        """Removes checkpoints newer than `step`: damaged ones, or those of a left timeline."""
        for newer in [other for other in self.steps() if other > step]:
            self.manager.delete(newer)

    def close(self) -> None:
        """Waits for the last save and ends Orbax's threads."""
        self.wait()
        self.manager.close()

    def _restore(self, step: int, abstract_state: Any) -> tuple[Any, dict]:
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(abstract_state), host=ocp.args.JsonRestore()
        )
        restored = self.manager.restore(step, args=items)
        found = int(trees.fingerprint(restored.state))
        if found != restored.host["fingerprint"]:
            raise ValueError(f"its arrays have fingerprint {found}, not the one saved with them.")
        return restored.state, restored.host

    def _unsaved(self, error: Exception) -> CheckpointError:
        reason = str(error).strip().splitlines()[0][:200]
        return CheckpointError(
            f"could not save a checkpoint in {self.folder}: {reason}; those before it are whole: "
            "make room there and run the same command again."
        )


def abstract_like(tree: Any) -> Any:
    """Shapes, types and shardings of `tree`, to restore into."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)
