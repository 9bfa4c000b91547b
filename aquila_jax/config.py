"""Where the ConfigDict ends: strict, frozen dataclasses, checked when they are made."""

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, Literal

from ml_collections import ConfigDict, config_dict

from aquila_jax.ate.optimizer import OptimizerConfig
from aquila_jax.ate.schedules import Schedule
from aquila_jax.ate.situation import MentorConfig
from aquila_jax.core import limits
from aquila_jax.dmu import recipe, staging
from aquila_jax.dmu.prepare import PrepareSettings
from aquila_jax.dmu.recipe import Phase
from aquila_jax.evaluate.suite import EvaluateConfig
from aquila_jax.model.config import ModelConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How sequences are made of the store."""

    length: int = 256
    packing: Literal["concat", "best_fit"] = "concat"
    mixture: str = "unimax"  # or "natural", "uniform"; overridden by `weights`
    weights: dict[str, float] = dataclasses.field(default_factory=dict)  # domain -> share
    phases: tuple[Phase, ...] = ()  # a recipe, instead of `mixture` and `weights`
    seed: int = 0
    store: str = "{workdir}/store"
    sample_megabytes: float = 0.0  # of generated text, into {workdir}/sample, before `prepare`

    def __post_init__(self):
        limits.at_least(1, self, "data", "length")
        limits.at_least(0, self, "data", "sample_megabytes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run: its batch, its mesh, its periods (in steps)."""

    batch: int = 16  # sequences a step
    accumulate: int = 1  # micro-batches a step
    seed: int = 0
    z_loss: float = 0.0
    mesh: dict[str, int] = dataclasses.field(default_factory=lambda: {"data": -1})
    lag: int = 2  # steps between a step and the reading of its signals
    heavy_every: int = 50
    evaluate_every: int = 500
    checkpoint_every: int = 500
    keep: int = 3
    keep_every: int = 0  # 0: none is kept for ever
    report_seconds: float = 5.0  # between two progress lines
    writers: tuple[str, ...] = ("tensorboard",)  # beside metrics.jsonl: wandb, mlflow
    stall_seconds: float = 600.0  # a step that takes longer hangs: stacks, then exit code 75

    def __post_init__(self):
        limits.at_least(1, self, "train", "batch", "accumulate", "heavy_every", "keep")
        limits.at_least(0, self, "train", "lag", "z_loss", "report_seconds")
        limits.at_least(0, self, "train", "evaluate_every", "checkpoint_every", "keep_every")
        limits.positive(self, "train", "stall_seconds")
        if self.batch % self.accumulate:
            raise ValueError(
                f"train.batch={self.batch} must be a multiple of "
                f"train.accumulate={self.accumulate}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run is made of."""

    name: str
    model: ModelConfig
    prepare: PrepareSettings
    data: DataConfig
    optimizer: OptimizerConfig
    schedule: Schedule
    train: TrainConfig
    evaluate: EvaluateConfig
    mentor: MentorConfig

    def __post_init__(self):
        if self.data.weights and self.data.phases:
            raise ValueError("data.weights and data.phases exclude each other: set one of them.")
        recipe.check(
            self.data.phases,
            total=float(self.schedule.total * self.data.length),
            acts=(self.mentor.mode, self.mentor.policy) == ("act", "aquila"),
        )


def to_config_dict(value: Any) -> ConfigDict:
    """A dataclass as a ConfigDict that a file in `configs/` starts from."""
    return ConfigDict(_overridable(plain(value)))


def from_config_dict(config: ConfigDict) -> Config:
    """The frozen configuration; ValueError names a key that is unknown, missing or of wrong type."""
    return build(Config, config.to_dict(), "config")


def build(kind: Any, value: Any, where: str) -> Any:
    """`value` (of dicts, lists and plain values) as `kind`, a dataclass or a type hint."""
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        rule = f"one of {', '.join(map(repr, arguments))}"
        return _require(value, where, rule, right=value in arguments)
    if origin is tuple:
        _require(value, where, "a sequence", right=isinstance(value, tuple | list))
    if origin is dict:
        _require(value, where, "a dictionary", right=isinstance(value, dict))
    if origin is tuple and arguments[-1] is not Ellipsis:
        pairs = enumerate(zip(arguments, value, strict=True))
        return tuple(build(kind, item, f"{where}[{i}]") for i, (kind, item) in pairs)
    if origin is tuple:
        return tuple(build(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        return {key: build(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin in (types.UnionType, typing.Union):
        return None if value is None else build(arguments[0], value, where)
    if kind in (int, float):
        return _number(kind, value, where)
    return _require(value, where, f"of type {kind.__name__}", right=isinstance(value, kind))


def _require(value: Any, where: str, rule: str, *, right: bool) -> Any:
    if not right:
        raise ValueError(f"{where}={value!r} must be {rule}.")
    return value


def _number(kind: type, value: Any, where: str) -> int | float:
    """What JSON, arrays and a comparison can hold: neither NaN nor more than 63 bits."""
    given = isinstance(value, int | kind) and not isinstance(value, bool)
    _require(value, where, f"of type {kind.__name__}", right=given)
    _require(value, where, "a number below 2^63", right=abs(value) < 2**63)
    return kind(value)


def located(config: Config, workdir: Path) -> Config:
    """The configuration with `{workdir}` filled in, wherever a path names it."""
    return build(Config, _fill(plain(config), staging.home(workdir)), "config")


def domains(config: Config) -> int:
    """How many domains a store has that `config.prepare` makes; sources held out are none."""
    return len({source.name for source in config.prepare.sources if source.split == "train"})


def differences(a: dict, b: dict, where: str = "") -> list[str]:
    """`model.layers: 4 -> 6` for every leaf in which two plain configurations differ."""
    lines = []
    for key in sorted(a.keys() | b.keys()):
        path, left, right = f"{where}{key}", a.get(key), b.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            lines += differences(left, right, path + ".")
        elif left != right:
            lines.append(f"{path}: {left} -> {right}")
    return lines


def plain(value: Any) -> Any:
    """A configuration, or a part of one, as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in _require(value, where, "a dictionary", right=isinstance(value, dict)):
        if key not in fields:
            close = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(fields)}."
            raise ValueError(f"{where}.{key} does not exist; {hint}")
    missing = [name for name in fields if name not in value]
    if missing:
        raise ValueError(f"{where}.{missing[0]} is missing; set it in the configuration file.")
    hints = typing.get_type_hints(kind)
    return kind(**{name: build(hints[name], value[name], f"{where}.{name}") for name in fields})


def completed(kind: Any, value: Any) -> Any:
    """A plain `value` of `kind` with the defaults of what it lacks, in dataclasses at any depth."""
    if isinstance(value, list) and typing.get_origin(kind) is tuple:
        return [completed(typing.get_args(kind)[0], item) for item in value]
    if not (dataclasses.is_dataclass(kind) and isinstance(value, dict)):
        return value
    hints = typing.get_type_hints(kind)
    filled = {name: completed(hints.get(name), item) for name, item in value.items()}
    for field in dataclasses.fields(kind):
        if field.name not in value and field.default is not dataclasses.MISSING:
            filled[field.name] = plain(field.default)
        elif field.name not in value and field.default_factory is not dataclasses.MISSING:
            filled[field.name] = plain(field.default_factory())
    return filled


def _fill(value: Any, workdir: str) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, workdir) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, workdir) for item in value]
    return value.replace("{workdir}", workdir) if isinstance(value, str) else value


def _overridable(value: Any) -> Any:
    """As the command line can override it: lists of plain values as tuples, no tokenizer as a word."""
    if isinstance(value, dict):
        value = {key: _overridable(item) for key, item in value.items()}
        if value.get("tokenizer", "") is None:
            value["tokenizer"] = config_dict.placeholder(str)
        return value
    if isinstance(value, list) and not any(isinstance(item, dict) for item in value):
        return tuple(value)
    return value
