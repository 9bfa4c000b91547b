"""The frozen values that flow between data, step, monitor and mentor.

Axes, one letter each, of the project's alphabet (`core.sharding`) and two more:

    A accumulation  B batch  L length  N layers  M mixture domains
    P parameter types (`PARAMETER_TYPES`)        C a count and sums (`tsm.tokens.FIELDS`)
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

# The nine types of the report's weight trajectory (arXiv 2408.07410, section 3.2.3).
PARAMETER_TYPES = (
    "query", "key", "value", "out", "gate", "up", "down", "attention_norm", "mlp_norm",
)  # fmt: skip


class Batch(NamedTuple):
    """One optimiser step of packed sequences, `[A, B, L]`, B sharded over data and fsdp.

    Segment 0 is padding; documents count from 1 in each sequence and never attend to each
    other; positions restart with each document. `loss_mask` is 1 where `targets` is the
    next token of the same document.
    """

    tokens: jax.Array
    targets: jax.Array
    segment_ids: jax.Array
    positions: jax.Array
    loss_mask: jax.Array
    domain_ids: jax.Array


class Control(NamedTuple):
    """What may change between two steps. Every field is a traced float32 scalar.

    A new value never recompiles, so a program compiled ahead of time stays valid. Where the
    decay starts and ends is here, and no constant of the program, so that it can be moved
    while the run goes on; `ate.schedules.neutral` fills in the plan's own.
    """

    decay_start: float  # sequences
    decay_end: float  # sequences
    lr_scale: float = 1.0  # times the planned rate
    clip_norm: float = 1.0  # of the whole gradient
    weight_decay_scale: float = 1.0  # times the configured decay
    loss_limit: float = float("inf")  # nats; a step above it leaves the state untouched
    grad_norm_limit: float = float("inf")  # likewise
    z_loss: float = 0.0  # coefficient of the mean of logsumexp squared


class Signals(NamedTuple):
    """What one step reports, replicated float32. `None`: not measured by this variant."""

    loss: jax.Array  # mean nats per target
    domain_nats_M: jax.Array  # sum of nats
    domain_tokens_M: jax.Array  # targets
    log_z_squared: jax.Array  # mean of logsumexp squared, the z-loss term
    learning_rate: jax.Array
    grad_norm: jax.Array  # global, before clipping
    micro_grad_square: jax.Array  # mean over A of |g_a|^2; equals grad_norm^2 for A = 1
    update_ratio: jax.Array  # median over matrices of rms(update) / rms(weight)
    update_rms_N: jax.Array
    weight_rms_N: jax.Array
    grad_norm_N: jax.Array
    skipped: jax.Array  # 1: parameters and optimiser state were left as they were
    activation_rms_N: jax.Array | None = None  # the largest of the A micro-batches
    attention_logit_max_N: jax.Array | None = None
    output_logit_max: jax.Array | None = None
    weight_std_PN: jax.Array | None = None  # P = PARAMETER_TYPES
    # Per domain the number of its sequences and, summed over them, how far their tokens are from
    # what is usual, in hundredths of deviations (`tsm.tokens`); from the host that reads them.
    token_oddity_MC: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class Alarm:
    """Something a person should know, with what a person would ask about it."""

    kind: str  # "spike", "divergence", "plateau", "imbalance", "dead_layer" ...
    step: int
    confidence: float  # 0 to 1
    evidence: dict[str, Any]
    cause: str
    remedy: str


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Where the loss will end, as told at `step`, before it was known."""

    step: int
    final_loss: float
    low: float | None  # None: no band is claimed
    high: float | None
    coverage: float  # nominal, 0.9
    calibrated_on: int  # forecasts with known outcome behind the band; 0: no band is claimed
    parameters: dict[str, float]
    domains: dict[str, float]  # final loss per domain


@dataclasses.dataclass(frozen=True)
class Assessment:
    """What the monitor makes of the signals up to `step`. Host numbers only."""

    step: int
    loss: float  # smoothed, nats
    slope: float  # nats per ln(token), negative while learning
    domain_loss: dict[str, float]
    language_loss: dict[str, float]
    loss_limit: float  # what a following step must not exceed
    grad_norm_limit: float
    skipped: bool
    update_ratio: float
    noise_scale: float | None = None  # sequences
    # By exp of this a change of the mixture moves the loss from here on; NaN: nobody knows how far.
    mixture_moved: float = 0.0
    forecast: Forecast | None = None
    trajectory: dict[str, float] | None = None  # parameter type -> distance per 1B tokens
    alarms: tuple[Alarm, ...] = ()


@dataclasses.dataclass(frozen=True)
class Request:
    """A structural change: the loop leaves its compiled step for it."""

    kind: Literal["checkpoint", "rewind", "batch", "branch", "phase", "stop"]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What the mentor wants from `effective_step` on, and why."""

    step: int  # the last step whose signals were seen
    effective_step: int
    control: Control
    weights: dict[str, float] | None = None  # domain -> share, for the ledger; None: as before
    exclude: tuple[tuple[int, int], ...] = ()  # sequence numbers [first, last) never to be read
    request: Request | None = None
    rule: str = ""
    evidence: dict[str, Any] = dataclasses.field(default_factory=dict)
    predict: dict[str, Any] | None = None  # what it should bring, and when that is judged
    author: str = "mentor"


def to_host(signals: Signals) -> Signals:
    """The signals as numpy, waiting for the step that makes them."""
    return jax.tree.map(np.asarray, jax.device_get(signals))
