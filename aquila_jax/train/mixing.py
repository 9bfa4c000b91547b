"""Online weights in a run: what is known of the domains, to the algorithms, and back; pure."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from aquila_jax.ate.situation import MentorConfig, Mix
from aquila_jax.dmu import weights
from aquila_jax.dmu.weights import Memory, Progress
from aquila_jax.tsm.history import History
from aquila_jax.tsm.learning import learning, level, until

DEVIATIONS = 2.0


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
    asked: dict[str, float] = {}  # shares of the last move, until it is judged
    before: dict[str, float] = {}  # shares that it moved away from
    tokens: float = 0.0  # learned from at that time
    pause: int = 1  # windows from one move to the next
    rest: int = 0  # of them still to come


def propose(
    config: MentorConfig,
    state: MixState,
    history: History,
    *,
    supply: Supply,
    languages: Mapping[str, str],
) -> tuple[MixState, Mix | None]:
    """The next state, and the mixture that the algorithm of the configuration wants.

    A move is judged a window later: if the mean loss came out worse than foreseen, beyond doubt,
    it is taken back, and from then on twice as long passes from one move to the next.
    """
    names = list(supply.prior)
    progress = _progress(history, supply, languages)
    memory = weights.start(progress.prior)
    if state.phase == supply.phase and set(state.average) == set(names):
        memory = Memory(_vector(names, state.average), _vector(names, state.credit), state.updates)
    groups = weights.balance(
        [languages[name] for name in names], progress.prior, dict(config.language_balance)
    )
    told, memory = weights.update(config.online_weights, progress, memory, groups=groups)
    state = state._replace(
        phase=supply.phase,
        average=_named(names, memory.average),
        credit=_named(names, memory.credit),
        updates=memory.updates,
    )
    evidence = {"algorithm": config.online_weights} | _evidence(names, progress)
    if _in_force(state.asked, supply.weights):
        excess, error = _excess(history, state.tokens, list(languages), supply.prior)
        if excess > DEVIATIONS * error:
            pause = 2 * state.pause
            state = state._replace(asked={}, pause=pause, rest=pause - 1)
            return state, Mix(state.before, evidence | {"undo": excess, "standard_error": error})
    state = state._replace(asked={})
    if told is None or state.rest:
        return state._replace(rest=max(0, state.rest - 1)), None
    asked, now = _named(names, told), float(history.tokens_K[-1])
    state = state._replace(asked=asked, before=supply.weights, tokens=now, rest=state.pause - 1)
    return state, Mix(asked, evidence)


def _in_force(asked: Mapping[str, float], weights: Mapping[str, float]) -> bool:
    """Whether the mixture is what was asked for, and nobody has changed it since."""
    return (
        bool(asked)
        and asked.keys() == weights.keys()
        and all(
            math.isclose(share, weights[name], rel_tol=1e-4, abs_tol=1e-9)
            for name, share in asked.items()
        )
    )


def _excess(
    history: History, tokens: float, names: list[str], prior: Mapping[str, float]
) -> tuple[float, float]:
    """Mean loss now above what was foreseen at `tokens`, and its standard error, nats.

    The mean is over the plan's shares. NaN where a domain was not known well enough then.
    """
    now = float(history.tokens_K[-1])
    seen, foreseen = level(history, now), level(until(history, tokens), now)
    share_M = np.array([prior.get(name, 0.0) for name in names[: len(seen.loss_M)]])
    used = share_M > 0
    excess = (share_M * (seen.loss_M - foreseen.loss_M))[used].sum()
    variance = (share_M**2 * (seen.error_M**2 + foreseen.error_M**2))[used].sum()
    return float(excess), math.sqrt(variance)


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
