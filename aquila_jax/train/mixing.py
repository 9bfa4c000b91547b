"""Online weights in a run: what is known of the domains, to the algorithms, and back; pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from aquila_jax.ate.situation import MentorConfig, Mix
from aquila_jax.dmu import weights
from aquila_jax.dmu.weights import Memory, Progress
from aquila_jax.tsm.history import History
from aquila_jax.tsm.learning import learning


class Supply(NamedTuple):
    """The data of a run at a step, each per domain."""

    phase: int
    prior: dict[str, float]  # shares that the plan wants now
    weights: dict[str, float]  # shares in force
    sizes: dict[str, int]  # sequences in an epoch
    seen: dict[str, float]  # sequences read
    left: int  # sequences still to be read, of all


class MixState(NamedTuple):
    """What the algorithm remembers; of the phase in which it was learned."""

    phase: int = -1
    average: dict[str, float] = {}
    credit: dict[str, float] = {}
    updates: int = 0


def propose(
    config: MentorConfig,
    state: MixState,
    history: History,
    *,
    supply: Supply,
    languages: Mapping[str, str],
) -> tuple[MixState, Mix | None]:
    """The next state, and the mixture that the algorithm of the configuration wants."""
    names = list(supply.prior)
    progress = _progress(history, supply, languages)
    memory = weights.start(progress.prior)
    if state.phase == supply.phase and set(state.average) == set(names):
        memory = Memory(_vector(names, state.average), _vector(names, state.credit), state.updates)
    groups = weights.balance(
        [languages[name] for name in names], progress.prior, dict(config.language_balance)
    )
    told, memory = weights.update(config.online_weights, progress, memory, groups=groups)
    state = MixState(
        supply.phase, _named(names, memory.average), _named(names, memory.credit), memory.updates
    )
    if told is None:
        return state, None
    evidence = {"algorithm": config.online_weights} | _evidence(names, progress)
    return state, Mix(_named(names, told), evidence)


def _progress(history: History, supply: Supply, languages: Mapping[str, str]) -> Progress:
    found, order = learning(history), list(languages)
    at = [order.index(name) for name in supply.prior]
    known = len(found.speed_M)  # a domain that has just joined has no history yet
    speed, error = (np.array([values[i] if i < known else np.nan for i in at]) for values in found)
    names = list(supply.prior)
    fields = (supply.prior, supply.weights)
    prior, now = (_vector(names, field) for field in fields)
    sizes, seen = (_vector(names, field) for field in (supply.sizes, supply.seen))
    return Progress(prior, now, speed, error, sizes, seen, float(supply.left))


def _evidence(names: list[str], progress: Progress) -> dict[str, Any]:
    epochs = progress.seen / np.maximum(progress.sizes, 1)
    return {"speed": _named(names, progress.speed), "epochs": _named(names, epochs)}


def _vector(names: list[str], values: Mapping[str, float]) -> np.ndarray:
    return np.array([values[name] for name in names], np.float64)


def _named(names: list[str], values: np.ndarray) -> dict[str, float]:
    """Six digits, as the ledger keeps them."""
    return {name: float(f"{value:.6g}") for name, value in zip(names, values.tolist(), strict=True)}
