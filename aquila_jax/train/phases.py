"""The recipe of a run: which phase it is in, and the mixture on the way there; pure."""

import dataclasses

from aquila_jax.ate.situation import Upcoming
from aquila_jax.config import Config
from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu import prior, recipe
from aquila_jax.train import host as hosts
from aquila_jax.train.host import HostState
from aquila_jax.train.mixing import Supply


def opening(config: Config, host: HostState) -> list[dict]:
    """The first lines of a journal about the data."""
    first = {"kind": "mixture", "first_sequence": 0, "weights": host.weights}
    begun = []
    if config.data.phases:
        _, begun = hosts.enter(host, phase=0, name=config.data.phases[0].name, why="start")
    return [first, *begun]


def advance(config: Config, host: HostState) -> tuple[HostState, list[dict]]:
    """What the recipe wants before the next step is started, and lines for the journal."""
    phases, lines = config.data.phases, []
    if not phases:
        return host, lines
    length = config.data.length
    due = recipe.due(phases, host.place, host.sequences * length)
    if due != host.place.phase:
        host, lines = hosts.enter(host, phase=due, name=phases[due].name, why="tokens")
    phase, place = phases[host.place.phase], host.place
    done = recipe.stairs(phase, place, (host.sequences - place.since) * length)
    if done == place.stairs:
        return host, lines
    host = dataclasses.replace(host, place=place._replace(stairs=done))
    mixture = recipe.toward(host.weights, _target(config, host), place.stairs, done)
    host, more = hosts.remix(host, mixture)
    return host, [*lines, *more]


def upcoming(config: Config, host: HostState) -> Upcoming | None:
    """The phase that an event can begin."""
    following = host.place.phase + 1
    if following >= len(config.data.phases):
        return None
    phase = config.data.phases[following]
    return Upcoming(following, phase.name, phase.on, host.place.since)


def supply(config: Config, host: HostState, sequences: int) -> Supply | None:
    """What online weights may know of the data after `sequences`; None while a phase changes."""
    if host.place.stairs < recipe.STAIRS:
        return None
    epochs = ledgers.repetition(host.ledger, sequences)
    sizes = dict(zip(host.ledger.domains, host.ledger.sizes.tolist(), strict=True))
    return Supply(
        phase=host.place.phase,
        prior=recipe.toward(host.weights, _target(config, host), 0, recipe.STAIRS),
        weights=host.weights,
        sizes=sizes,
        seen={name: epochs[name] * size for name, size in sizes.items()},
        left=config.schedule.total - sequences,
    )


def _target(config: Config, host: HostState) -> dict[str, float]:
    """The mixture of the present phase, or of a run without any."""
    data, total = config.data, config.schedule.total
    if data.phases:
        shares = recipe.mixtures([data.phases[host.place.phase]], _known(host), total)[0]
    else:
        shares = prior.mixture(data.mixture, data.weights, _known(host), total)
    otherwise = {name: host.weights[name] for name in shares}
    return hosts.servable(host.ledger, shares, otherwise=otherwise)


def _known(host: HostState) -> dict[str, int]:
    """Sequences of each domain that was there from the start."""
    sizes = zip(host.ledger.domains, host.ledger.sizes.tolist(), strict=True)
    joined = {name for source in host.joined for name in source["domains"]}
    return {name: size for name, size in sizes if name not in joined}
