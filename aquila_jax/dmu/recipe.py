"""A recipe: phases with a mixture each, what each waits for, and the stairs between two of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from aquila_jax.dmu import prior

STAIRS = 16  # entries of the ledger in which a gradual change is made
EVENTS = ("plateau", "forecast")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of a run. The first begins with it; each later one waits for what it names.

    A sudden change of the mixture made losses unstable (arXiv 2408.07410, section 7.6): `span`.
    """

    name: str
    mixture: str = "unimax"  # or "natural", "uniform"; overridden by `weights`
    weights: dict[str, float] = dataclasses.field(default_factory=dict)  # domain -> share
    tokens: float = 0.0  # begins when so many are read, whatever was before
    on: tuple[Literal["plateau", "forecast"], ...] = ()  # or when the mentor sees one of these
    span: float = 0.0  # tokens over which the mixture changes

    def __post_init__(self):
        if unknown := sorted(set(self.on) - set(EVENTS)):
            raise ValueError(f"phase {self.name}: on={unknown} must be of {', '.join(EVENTS)}.")
        if self.tokens < 0 or self.span < 0:
            raise ValueError(
                f"phase {self.name}: tokens={self.tokens:g} and span={self.span:g} must not be "
                "negative."
            )


class Place(NamedTuple):
    """Where a run stands in its recipe."""

    phase: int = 0
    since: int = 0  # sequences read when the phase began
    stairs: int = STAIRS  # of the change to its mixture that are done
    why: str = "start"  # or "tokens", or the event that began it
    decided: int = 0  # the last phase that an event began


def check(phases: Sequence[Phase], *, total: float, acts: bool) -> None:
    """ValueError for a phase that can never begin in a run of `total` tokens.

    `acts`: whether the mentor does what it decides; else only counts of tokens come true.
    """
    names = [phase.name for phase in phases]
    if len(set(names)) < len(names):
        raise ValueError(f"data.phases={names} must have different names.")
    if phases and (phases[0].tokens or phases[0].on):
        raise ValueError(f"phase {names[0]} is the first and begins at once: it waits for nothing.")
    before = 0.0
    for phase in phases[1:]:
        if not phase.tokens and not (phase.on and acts):
            way = "mentor.mode='act' with policy 'aquila', or give it `tokens`"
            waits = f"waits for {' or '.join(phase.on)}" if phase.on else "waits for nothing"
            raise ValueError(f"phase {phase.name} {waits} and can never begin: set {way}.")
        if phase.tokens and not before < phase.tokens < total:
            raise ValueError(
                f"phase {phase.name} can never begin: its tokens={phase.tokens:g} must lie between "
                f"those of the phases before ({before:g}) and of the whole run ({total:g})."
            )
        before = phase.tokens or before


def mixtures(
    phases: Sequence[Phase], sizes: Mapping[str, int], sequences: int
) -> list[dict[str, float]]:
    """The shares of each phase; ValueError for one that names a domain which cannot be served."""
    found = []
    for phase in phases:
        shares = prior.mixture(phase.mixture, phase.weights, sizes, sequences)
        if empty := sorted(name for name, share in shares.items() if share and not sizes[name]):
            raise ValueError(
                f"phase {phase.name}: domains {empty} have a weight but not one whole sequence; "
                "give them more text, or weight 0."
            )
        found.append(shares)
    return found


def due(phases: Sequence[Phase], place: Place, tokens: float) -> int:
    """The phase to be in once `tokens` are read; one whose event never came is passed over."""
    begun = [number for number, phase in enumerate(phases) if 0 < phase.tokens <= tokens]
    return max([place.phase, *begun])


def stairs(phase: Phase, place: Place, tokens: float) -> int:
    """How many stairs to the phase's mixture are done `tokens` after it began."""
    if not phase.span or tokens >= phase.span:  # not begun yet, either, where a run went back
        return STAIRS
    return max(place.stairs, min(STAIRS, 1 + int(STAIRS * max(tokens, 0.0) / phase.span)))


def toward(
    now: Mapping[str, float], target: Mapping[str, float], before: int, done: int
) -> dict[str, float]:
    """The mixture in force after stairs `before` to `done`: linear if nobody else changes it.

    Domains that joined the run keep their share; the phases do not know them.
    """
    joined = {name: share for name, share in now.items() if name not in target}
    room = 1 - sum(joined.values())
    step = 1.0 if done == STAIRS else (done - before) / (STAIRS - before)
    known = {name: now[name] + step * (room * target[name] - now[name]) for name in target}
    total = sum(known.values()) + sum(joined.values())
    return {name: share / total for name, share in (known | joined).items()}


def planned(
    phases: Sequence[Phase], sizes: Mapping[str, int], *, total: int, length: int
) -> dict[str, float]:
    """Shares over the whole run, if each phase begins at its tokens and changes at once."""
    timed = [(phase, shares) for phase, shares in zip(phases, mixtures(phases, sizes, total),
             strict=True) if phase is phases[0] or phase.tokens]  # fmt: skip
    edges = [*(phase.tokens for phase, _ in timed), float(total * length)]
    shares = dict.fromkeys(sizes, 0.0)
    for (_, own), first, last in zip(timed, edges, edges[1:], strict=False):
        for name in shares:
            shares[name] += own[name] * (last - first) / edges[-1]
    return shares
