"""Whether the data are those that the ledger asks for: sequences of each domain, given and asked.

The ledger spreads its shares so evenly that a stretch of steps has each domain's sequences to within
a few (`dmu/mixture.py`). So there is no noise to wait out: a reader that gives others is
found in a few steps, long before a loss per domain could show it.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from aquila_jax.core.signals import Alarm
from aquila_jax.tsm import alarms
from aquila_jax.tsm.context import Context


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupplySettings:
    """How far the two may lie apart."""

    factor: float = 2.0  # domains are padded unlike, and tokens are what is counted
    margin: float = 6.0  # sequences: the unevenness of the ledger in any stretch
    pause: int = 16  # steps after a change of mixture before anything is told


class SupplyState(NamedTuple):
    """Sequences `[M]` since each domain was last in balance: the sums of a CUSUM (Page, 1954)."""

    given_M: np.ndarray
    asked_M: np.ndarray
    read_M: np.ndarray  # of all domains
    steps: int  # under this mixture


def start(domains: int) -> SupplyState:
    """Nothing seen under this mixture."""
    return SupplyState(np.zeros(domains), np.zeros(domains), np.zeros(domains), 0)


def observe(
    settings: SupplySettings,
    state: SupplyState,
    tokens_M: np.ndarray,
    *,
    weights_M: np.ndarray,
    context: Context,
    names: tuple[str, ...],
) -> tuple[SupplyState, tuple[Alarm, ...]]:
    """One step's targets per domain, `[M]`, under the mixture `weights_M` of any scale."""
    state = state._replace(steps=state.steps + 1)
    counted = tokens_M.sum(dtype=np.float64)
    if state.steps <= settings.pause or not counted > 0 or not weights_M.sum() > 0:
        return state, ()
    given_M = state.given_M + tokens_M / counted * context.batch
    asked_M = state.asked_M + weights_M / weights_M.sum() * context.batch
    read_M = state.read_M + context.batch
    apart_M = np.maximum(given_M - settings.factor * asked_M, asked_M - settings.factor * given_M)
    on_M = apart_M > 0
    state = SupplyState(given_M * on_M, asked_M * on_M, read_M * on_M, state.steps)
    worst = int(np.argmax(apart_M))
    if apart_M[worst] <= settings.margin:
        return state, ()
    observed, expected = (float(sums_M[worst] / read_M[worst]) for sums_M in (given_M, asked_M))
    evidence = {"domain": names[worst], "observed": observed, "expected": expected}
    return state, (alarms.make("mixture", context.step, confidence=0.99, **evidence),)
