"""Where the numbers of a run go, all behind one door: `write(step, time, values)`."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from aquila_jax.report.tensorboard import EventWriter

# step, unix seconds, tag -> value
Write = Callable[[int, float, Mapping[str, float]], None]


def tensorboard(workdir: Path) -> Write:
    """Event files in `tensorboard/`, for `tensorboard --logdir`."""
    return EventWriter(workdir / "tensorboard").scalars


def wandb(workdir: Path) -> Write:
    """A Weights & Biases run named like the folder; its own settings say which project."""
    run = _module("wandb").init(dir=str(workdir), name=workdir.name, resume="allow")

    def write(step: int, time: float, values: Mapping[str, float]) -> None:
        run.log({**values, "time": time}, step=step)

    return write


def mlflow(workdir: Path) -> Write:
    """An MLflow run named like the folder; its own settings say which server."""
    module = _module("mlflow")
    if module.active_run() is None:
        module.start_run(run_name=workdir.name)

    def write(step: int, time: float, values: Mapping[str, float]) -> None:
        module.log_metrics({**values, "time": time}, step=step)

    return write


WRITERS = {"tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow}


def open_writers(names: Sequence[str], workdir: Path) -> Write:
    """One `write` that goes to all writers named. ValueError: unknown or not installed."""
    unknown = [name for name in names if name not in WRITERS]
    if unknown:
        raise ValueError(f"Unknown writer {unknown[0]!r}: choose from {', '.join(WRITERS)}.")
    workdir.mkdir(parents=True, exist_ok=True)
    writes = [WRITERS[name](workdir) for name in names]

    def write(step: int, time: float, values: Mapping[str, float]) -> None:
        for each in writes:
            each(step, time, values)

    return write


def flat(line: Mapping) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl by tag: `domain_loss/en_web`, `update_rms/3`.

    >>> flat({"step": 3, "time": 0.5, "loss": 2.5, "domain_loss": {"zh": 2.75}, "std": [1.0]})
    {'loss': 2.5, 'domain_loss/zh': 2.75, 'std/0': 1.0}
    """
    found = {}
    for key, value in line.items():
        if isinstance(value, Mapping):
            found |= {f"{key}/{name}": inner for name, inner in flat(value).items()}
        elif isinstance(value, list | tuple):
            found |= {f"{key}/{i}": float(inner) for i, inner in enumerate(value)}
        elif isinstance(value, int | float) and key not in {"step", "time"}:
            found[key] = float(value)
    return found


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"The writer {name!r} needs the package {name}: pip install {name}, or choose another."
        ) from error
