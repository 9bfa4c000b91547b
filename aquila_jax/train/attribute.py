"""Whose fault was a bad step: its data, the dynamics of training, or the hardware."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

from aquila_jax.core import feed
from aquila_jax.core.signals import Batch
from aquila_jax.dmu.trace import trace
from aquila_jax.model.loss import nats
from aquila_jax.train import cycle, step
from aquila_jax.train.cycle import Machine, Moment
from aquila_jax.train.state import Program

DOCUMENTS = 3
RISE = 0.05  # of the loss: less than that, and it was the gradient that stood out


class Shown(NamedTuple):
    """What a step showed."""

    loss: float
    grad_norm: float


def attribute(machine: Machine, moment: Moment, *, before: Shown, bad: Shown, later: int) -> dict:
    """The bad step once more, from the same weights and with the same batch, as evidence.

    `moment` is just before it; `before` is what the step before showed, `bad` what it showed
    itself; `later` is a cursor whose batch nobody suspects. What does not come back was the
    hardware; what comes back with the suspect batch only was the data; what comes back with
    any batch is in the weights.
    """
    host, model = moment.host, moment.state.model
    suspect = cycle.read_batch(machine, host, host.sequences)
    again = _probe(machine, model, suspect, host)
    other = _probe(machine, model, cycle.read_batch(machine, host, later), host)
    return {
        "verdict": verdict(before=before, bad=bad, again=again, other=other),
        "recorded": _plain(bad),
        "repeated": _plain(again),
        "other_batch": _plain(other),
        "documents": worst_documents(machine, model, suspect, host),
    }


def verdict(*, before: Shown, bad: Shown, again: Shown, other: Shown) -> str:
    """`hardware`, `dynamics` or `data`: a value is bad from half-way to the one recorded.

    `unclear` where the step itself is not bad by that measure: of a small rise nothing can be said.
    """
    if not odd(bad, before=before, bad=bad):
        return "unclear"
    if not odd(again, before=before, bad=bad):
        return "hardware"
    return "dynamics" if odd(other, before=before, bad=bad) else "data"


def odd(seen: Shown, *, before: Shown, bad: Shown) -> bool:
    """Whether `seen` is more like `bad` than like `before`."""
    if not all(map(math.isfinite, seen)):
        return True
    if not all(map(math.isfinite, bad)):
        return False
    by_loss = bad.loss - before.loss > RISE * before.loss
    if by_loss:
        return seen.loss - before.loss > 0.5 * (bad.loss - before.loss)
    return seen.grad_norm > math.sqrt(bad.grad_norm * before.grad_norm)


def worst_documents(machine: Machine, model, batch: Batch, host) -> list[dict]:
    """The documents of a step's batch with the highest mean loss."""
    nats = np.concatenate(
        [
            np.asarray(_token_nats(model, _placed(machine, host, _micro(batch, number))))
            for number in range(len(batch.tokens))
        ]
    )
    if jax.process_count() > 1:
        return []  # each process holds its own rows only
    first = host.sequences
    segments, mask = (np.concatenate(list(x)) for x in (batch.segment_ids, batch.loss_mask))
    found = []
    traced = trace(machine.stream, host.ledger, first, first + len(nats))
    by_row: dict[int, list] = {}
    for document in traced:
        by_row.setdefault(document.cursor - first, []).append(document)
    for row, documents in by_row.items():
        taught = np.unique(segments[row][mask[row] > 0]).tolist()
        for segment, document in zip(taught, documents, strict=False):
            here = (segments[row] == segment) & (mask[row] > 0)
            found.append((float(nats[row][here].mean()), int(here.sum()), document))
    found.sort(key=lambda one: -one[0] if math.isfinite(one[0]) else -math.inf)
    return [
        {"domain": document.domain, "document": document.document, "nats": _number(mean),
         "tokens": tokens, "source": document.provenance}
        for mean, tokens, document in found[:DOCUMENTS]
    ]  # fmt: skip


def _probe(machine: Machine, model, batch: Batch, host) -> Shown:
    placed = _placed(machine, host, batch)
    seen = loss_and_norm(machine.program, model, placed, jnp.float32(host.control.z_loss))
    return Shown(*map(float, seen))


def _placed(machine: Machine, host, batch: Batch) -> Batch:
    return feed.put(batch, machine.mesh, cycle.shape(machine, host)[1])


def _micro(batch: Batch, number: int) -> Batch:
    return jax.tree.map(lambda x: x[number : number + 1], batch)


@functools.partial(jax.jit, static_argnames="program")
def loss_and_norm(program: Program, model, batch: Batch, z_loss):
    """What a step would show, without taking it."""
    objective = functools.partial(step.loss, program=program, z_loss=z_loss, statistics="light")
    grads, metrics, *_ = step.gradients(objective, model, batch)
    return metrics.compute()["loss"], optax.tree.norm(grads)


@jax.jit
def _token_nats(model, batch: Batch) -> jax.Array:
    return jax.sharding.reshard(nats(model, _first(batch)), PartitionSpec())


def _first(batch: Batch) -> Batch:
    return jax.tree.map(lambda x: x[0], batch)


def _plain(shown: Shown) -> dict:
    return {name: _number(value) for name, value in shown._asdict().items()}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
