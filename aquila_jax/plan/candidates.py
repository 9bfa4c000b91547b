"""The ways to lay one training step out on so many devices: mesh, micro-batch, rematerialisation."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Literal

from aquila_jax.config import Config
from aquila_jax.core.sharding import axis_sizes

REMATS = ("dots_with_no_batch_dims_saveable", "nothing_saveable")
AXES = ("data", "fsdp", "tensor", "context")
LARGEST = 8  # of tensor and of context: beyond that both only wait for one another
MOST_TOKENS = 1 << 15  # of a micro-batch on one device
LOGIT_BYTES, CHUNK = 4, 1 << 28  # each chunk of logits costs a reduction of the gradient
BATCH_SLACK = 0.05  # a batch may be so much off where the devices do not divide it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """One layout."""

    data: int
    fsdp: int
    tensor: int
    context: int
    remat: Literal["none", "nothing_saveable", "dots_saveable", "dots_with_no_batch_dims_saveable"]
    batch: int  # sequences a step
    accumulate: int  # micro-batches a step
    loss_chunks: int

    @property
    def mesh(self) -> dict[str, int]:
        """The axes that have more than one device."""
        sizes = {axis: getattr(self, axis) for axis in AXES}
        return {axis: size for axis, size in sizes.items() if size > 1} or {"data": 1}

    @property
    def rows(self) -> int:
        """Sequences of a micro-batch on one device (or on one group along `context`)."""
        return self.batch // self.accumulate // (self.data * self.fsdp)

    def in_words(self) -> str:
        """`fsdp=64, 9 x 192 sequences, nothing_saveable`."""
        mesh = ", ".join(f"{axis}={size}" for axis, size in self.mesh.items())
        return f"{mesh}, {self.accumulate} x {self.batch // self.accumulate}, {self.remat}"

    def settings(self) -> str:
        """What to give to `train`."""
        mesh = str(self.mesh).replace(" ", "")
        return (
            f'--config.train.mesh="{mesh}" --config.train.batch={self.batch} '
            f"--config.train.accumulate={self.accumulate} --config.model.remat={self.remat} "
            f"--config.model.loss_chunks={self.loss_chunks}"
        )


def applied(config: Config, candidate: Candidate) -> Config:
    """The configuration with the candidate's layout."""
    train = dataclasses.replace(
        config.train, mesh=candidate.mesh, batch=candidate.batch, accumulate=candidate.accumulate
    )
    model = dataclasses.replace(
        config.model, remat=candidate.remat, loss_chunks=candidate.loss_chunks
    )
    return dataclasses.replace(config, train=train, model=model)


def as_configured(config: Config, devices: int) -> Candidate:
    """The layout that the configuration itself asks for; ValueError if it is impossible."""
    sizes = axis_sizes(config.train.mesh, devices)
    require(config, sizes)
    sizes = {axis: sizes[axis] for axis in AXES}
    train = config.train
    shards, micro = sizes["data"] * sizes["fsdp"], train.batch // train.accumulate
    if micro % shards:
        raise ValueError(
            f"the micro-batch of {micro} sequences (train.batch / train.accumulate) must be a "
            f"multiple of data*fsdp={shards}; change train.batch, train.accumulate or train.mesh."
        )
    layout = {"remat": config.model.remat, "loss_chunks": config.model.loss_chunks}
    return Candidate(**sizes, **layout, batch=train.batch, accumulate=train.accumulate)


def require(config: Config, sizes: Mapping[str, int]) -> None:
    """ValueError unless the axes divide what they spread, and all give their devices work."""
    if idle := math.prod(size for axis, size in sizes.items() if axis not in AXES) - 1:
        raise ValueError(
            f"train.mesh={config.train.mesh} leaves {idle} of {idle + 1} devices without work of "
            f"their own, for no model has experts yet; the axes that share work are {AXES}."
        )
    model, tensor = config.model, sizes["tensor"]
    divided = {
        "heads": (model.heads, "tensor"),
        "kv_heads": (model.kv_heads, "tensor"),
        "ffn": (model.ffn, "tensor"),
        "padded vocab": (model.padded_vocab, "tensor"),
        "embed": (model.embed, "fsdp"),
        "length": (config.data.length, "context"),
    }
    for name, (size, axis) in divided.items():
        if size % sizes[axis]:
            raise ValueError(
                f"{name}={size} must be a multiple of {axis}={sizes[axis]}; "
                f"the largest that divides it and {sizes[axis]} is {math.gcd(size, sizes[axis])}."
            )
    if model.attention == "splash" and config.data.length // sizes["context"] % 128:
        raise ValueError(
            f"length={config.data.length} over context={sizes['context']} must leave a multiple "
            f"of 128 tokens for splash attention (tensor={tensor} is free)."
        )


def candidates(config: Config, devices: int, *, slices: int = 1) -> list[Candidate]:
    """All layouts that divide evenly, of whole slices along `data`; ValueError: there are none."""
    found = list(_all(config, devices, slices))
    if not found:
        as_configured(config, devices)  # which says what does not divide
        raise ValueError(
            f"no mesh of {devices} devices divides batch={config.train.batch} (to "
            f"{BATCH_SLACK:.0%}), kv_heads={config.model.kv_heads} and embed={config.model.embed}; "
            "change train.batch or take fewer chips."
        )
    return found


def _all(config: Config, devices: int, slices: int) -> Iterator[Candidate]:
    for tensor, context in itertools.product(_powers(LARGEST), repeat=2):
        if devices % (tensor * context):
            continue
        shards = devices // (tensor * context)
        batch = max(round(config.train.batch / shards + 1e-9), 1) * shards
        if abs(batch / config.train.batch - 1) > BATCH_SLACK:
            continue
        for fsdp in _powers(shards):
            sizes = dict(data=shards // fsdp, fsdp=fsdp, tensor=tensor, context=context)
            if shards % (fsdp * slices) or not _divides(config, sizes):
                continue
            for rows, remat in itertools.product(_rows(config, batch // shards, context), REMATS):
                logits = LOGIT_BYTES * rows * config.data.length * config.model.padded_vocab
                yield Candidate(
                    **sizes, remat=remat, batch=batch, accumulate=batch // shards // rows,
                    loss_chunks=math.ceil(logits / (tensor * context) / CHUNK),
                )  # fmt: skip


def _divides(config: Config, sizes: Mapping[str, int]) -> bool:
    try:
        require(config, sizes)
    except ValueError:
        return False
    return True


def _rows(config: Config, share: int, context: int) -> Iterator[int]:
    """Sequences of a micro-batch on one device that divide its share of the batch."""
    most = max(MOST_TOKENS * context // config.data.length, 1)
    return (rows for rows in range(1, min(share, most) + 1) if share % rows == 0)


def _powers(largest: int) -> list[int]:
    return [1 << power for power in range(largest.bit_length())]
