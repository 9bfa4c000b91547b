"""Atomic, asynchronous checkpoints by Orbax: the train state and the host's state as one step."""

import contextlib
import os
from collections.abc import Callable, Collection
from typing import Any

import jax
import orbax.checkpoint as ocp
import orbax.checkpoint.checkpoint_managers as policies
from etils import epath

from aquila_jax.core import agree, copies, trees

# Where TensorFlow happens to be installed Orbax would reach gs:// through it: another client of
# storage, with its own credentials, than the rest of the run has.
os.environ.setdefault("EPATH_USE_TF", "false")


class CheckpointError(ValueError):
    """A save that failed, or a folder in which no checkpoint is whole."""


class _Lasting(policies.PreservationPolicy):
    """Keeps what `Checkpoints.lasting` names."""

    def __init__(self, owner: "Checkpoints"):
        self.owner = owner

    def should_preserve(self, checkpoints, *, context):
        return [one.step in self.owner.lasting for one in checkpoints]


class Checkpoints:
    """The checkpoints of one run, newest kept, each `keep_every`-th and the `lasting` for ever.

    `keep` None is for who only reads: a run that is saving there just now is left in peace.
    """

    def __init__(self, folder: str, *, keep: int | None, keep_every: int | None = None):
        self.folder, self.keep = str(folder), keep
        self.lasting: Collection[int] = ()  # steps, as they stand at the next save
        kept = [policies.LatestN(keep), _Lasting(self)]
        kept += [policies.EveryNSteps(keep_every)] if keep_every else []
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(kept),
            cleanup_tmp_directories=keep is not None,
            read_only=keep is None,
        )
        self.manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, step: int, state: Any, host: dict) -> None:
        """Copies `state` off the device and returns; the writing goes on behind."""
        host = host | {"fingerprint": int(trees.fingerprint(state))}
        state = jax.tree.map(_apart, state)
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

        One that is damaged, for whichever process, is reported, left out, and the one before it
        taken. OSError where the storage does not answer: what is there may well be whole.
        """
        steps = [step] if step is not None else self.steps()[::-1]
        for candidate in steps:
            state = restored = None  # two states may not fit into the devices' memory
            restored, wrong = self._read(candidate, abstract_state)
            damaged, silent = zip(*agree.gathered(wrong), strict=True)
            if any(silent):
                raise OSError(
                    f"checkpoint {candidate} in {self.folder} cannot be read: {max(silent)}."
                )
            if not any(damaged):
                state, host = restored
                found = int(trees.fingerprint(state))
                if found == host["fingerprint"]:
                    return restored
                damaged = [f"its arrays have fingerprint {found}, not the one saved with them."]
            report(
                f"checkpoint {candidate} in {self.folder} is damaged and left out: {max(damaged)}"
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

    def replace(self, step: int, state: Any, host: dict) -> None:
        """Saves in place of the checkpoints of `step` and later; whole when this returns.

        The newest of these stays until then: a run that is killed meanwhile goes on from there,
        and comes to the same decisions again. But not if it is of `step` itself, or the only one
        that may be kept, since Orbax would drop the lower of two.
        """
        later = [other for other in self.steps() if other >= step]
        spared = bool(later) and later[-1] > step and self.keep != 1
        for other in later[:-1] if spared else later:
            self.manager.delete(other)
        self.save(step, state, host)
        self.wait()
        self.discard_after(step)

    def close(self) -> None:
        """Waits for the last save and ends Orbax's threads."""
        self.wait()
        self.manager.close()

    def _read(self, step: int, abstract_state: Any) -> tuple[tuple[Any, dict] | None, list[str]]:
        """(state, host), and what is wrong with it for this process: damage, and silence.

        By Orbax's handlers: its manager waits for all processes, though one may not come.
        """
        folder = epath.Path(self.folder) / str(step)
        try:
            with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
                args = ocp.args.StandardRestore(abstract_state)
                state = handler.restore(folder / "state", args=args)
            with contextlib.closing(ocp.JsonCheckpointHandler()) as handler:
                host = handler.restore(folder / "host", args=ocp.args.JsonRestore())
        except Exception as error:  # Orbax raises a bare Exception for a cut array
            if "RESOURCE_EXHAUSTED" in str(error):
                raise
            silent = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
            return None, ["", _first_line(error)] if silent else [_first_line(error), ""]
        return (state, host), ["", ""]

    def _unsaved(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"could not save a checkpoint in {self.folder}: {_first_line(error)}; those before it are whole: "
            "make room there and run the same command again."
        )


def _apart(leaf):
    """Orbax writes what rests with the hosts from where it lies, which the next step is given."""
    return copies.put(copies.take(leaf)) if trees.rests_with_host(leaf) else leaf


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
