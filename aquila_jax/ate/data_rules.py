"""Rules for the mixture: a domain that cannot be learned gives its tokens to those that can."""

import math
import statistics
from collections.abc import Mapping

from aquila_jax.ate.situation import Proposal, Situation

LOOKS, LEAST_LOOKS = 8, 6  # one a window; what a slope is fitted to
FLAT = -0.12  # nats per ln(token); a domain that learns falls faster
HARD = 0.25  # of the way from the other domains' loss to that of chance
NOTHING, LEFT = 0.99, 0.9  # of chance: the least loss of who learned nothing; the most of who did
CHANCE_STEPS = 16  # in a row
OPTIMISTIC = 2.6  # standard errors: 99 % of slopes are above that
CONFIRMATIONS = 3  # looks in a row
FLOOR = 0.002  # of the mixture, so that it would be seen if the domain became learnable
FIRST_PROGRESS = 0.1  # before, everything is learned and no slope known
LAST_PART = 0.7  # of the run: longer than that no decay keeps the mixture from moving
MOVED = 0.005  # of the mixture: less is not worth an entry in the ledger


def gate(s: Situation) -> Proposal | None:
    """Takes a domain to a floor of 0.2 % when it is far harder than the others and stays so.

    Why: 30 % of random tokens cost a run 0.33 nats on its other domains; a domain whose loss
    is a quarter of the way to chance, and whose slope is flat even by its optimistic bound in
    three looks, was garbage in all pilot runs, and no good domain ever was that (science
    3.4). In the first tenth 16 steps are enough, for one that is read as much as others and stands
    at chance where they have left it: no good domain of 100 runs did so for a single step. Where
    the others rise, too, it is the weights that are damaged. The only domain of a language is left
    to a person. Needs leave ("gate" in `may`).
    """
    if "gate" not in s.config.may:
        return None
    for name, weight in s.weights.items():
        streaks = s.memory.streaks
        chance = streaks.get(f"chance/{name}", 0) >= CHANCE_STEPS
        hopeless = streaks.get(f"gate/{name}", 0) >= CONFIRMATIONS
        if not (chance or hopeless) or weight <= 2 * FLOOR or not _has_sister(s, name):
            continue
        evidence = {"domain": name, "loss": s.assessment.domain_loss[name], "chance": s.chance}
        if hopeless:
            slope, error = line(s.memory.looks[name])
            evidence |= {"slope": slope, "error": error}
        return Proposal(weights=_floored(s.weights, name), evidence=evidence)
    return None


def mix(s: Situation) -> Proposal | None:
    """Follows online weights, in small bounded moves.

    Why: a domain that is still learned fast is worth more of the tokens to come (ADO, arXiv
    2410.11820); on clean balanced data the gain is nothing, within 0.005 nats (science 4.4), so
    this is off unless asked for. The mixture rests in the first tenth of the run, in the decay
    (of a schedule that always decays, in its last part), and for a window after any sign of trouble.
    """
    decaying = s.sequences >= max(s.control.decay_start, LAST_PART * s.control.decay_end)
    troubled = s.memory.troubled and s.memory.clock - s.memory.troubled < s.window
    if s.mix is None or s.progress < FIRST_PROGRESS or decaying or troubled:
        return None
    moved = sum(abs(share - s.weights[name]) for name, share in s.mix.weights.items()) / 2
    if moved < MOVED:
        return None
    return Proposal(weights=s.mix.weights, evidence=s.mix.evidence | {"moved": moved})


def look(s: Situation) -> tuple[dict[str, tuple[tuple[float, float], ...]], dict[str, int]]:
    """What is remembered of each domain, and how many steps or looks in a row found it hopeless."""
    before = s.memory.streaks
    streaks = {key: count for key, count in before.items() if not key.startswith("chance/")}
    streaks |= {f"chance/{name}": before.get(f"chance/{name}", 0) + 1 for name in _at_chance(s)}
    if s.assessment.step % s.window:
        return s.memory.looks, streaks
    at = math.log(max(s.tokens, 1.0))
    looks = {}
    for name, loss in s.assessment.domain_loss.items():
        looks[name] = (*s.memory.looks.get(name, ())[-(LOOKS - 1) :], (at, loss))
    usual = _of_the_others(s.assessment.domain_loss)
    for name in looks:
        hopeless = _hopeless(s, looks, name, usual[name])
        streaks[f"gate/{name}"] = streaks.get(f"gate/{name}", 0) + 1 if hopeless else 0
    return looks, streaks


def line(points: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Slope of least squares and its standard error."""
    x, y = zip(*points, strict=True)
    centre, level = statistics.fmean(x), statistics.fmean(y)
    spread = sum((one - centre) ** 2 for one in x)
    slope = sum((a - centre) * b for a, b in points) / spread
    left = sum((b - level - slope * (a - centre)) ** 2 for a, b in points)
    return slope, math.sqrt(left / (len(points) - 2) / spread)


def _hopeless(s: Situation, looks: dict, name: str, usual: float) -> bool:
    loss = s.assessment.domain_loss[name]
    young = len(looks[name]) < LEAST_LOOKS or s.progress < FIRST_PROGRESS
    learned = usual < LEFT * s.chance  # or it is not this domain's fault
    if young or not learned or loss <= usual + HARD * (s.chance - usual):
        return False
    slope, error = line(looks[name])
    return slope - OPTIMISTIC * error > FLAT and not _rising(looks, name)


def _at_chance(s: Situation) -> list[str]:
    """While all are new; whoever joins later needs time, and what is seldom read needs it, too."""
    losses = s.assessment.domain_loss
    found = [name for name, loss in losses.items() if loss > NOTHING * s.chance]
    if not found or s.progress >= FIRST_PROGRESS:
        return []
    usual, shares = _of_the_others(losses), _of_the_others(s.weights)
    return [
        name for name in found
        if usual[name] < LEFT * s.chance and s.weights.get(name, 0.0) >= shares.get(name, math.inf)
    ]  # fmt: skip


def _of_the_others(values: Mapping[str, float]) -> dict[str, float]:
    """For each the median of all others; infinite where there are none."""
    names = sorted(values, key=values.get)
    ordered, middle = [values[name] for name in names], (len(names) - 1) / 2
    low, high = math.ceil(middle) - 1, math.floor(middle)  # of what is left without one

    def median(rank: int) -> float:
        return (ordered[low + (low >= rank)] + ordered[high + (high >= rank)]) / 2

    alone = len(names) < 2
    return {name: math.inf if alone else median(rank) for rank, name in enumerate(names)}


def _rising(looks: dict, name: str) -> bool:
    """Whether most other domains get worse: then it is not the data of this one."""
    slopes = [line(seen)[0] for other, seen in looks.items() if other != name and len(seen) > 2]
    return bool(slopes) and statistics.median(slopes) > 0


def _floored(weights: Mapping[str, float], name: str) -> dict[str, float]:
    rest = sum(share for other, share in weights.items() if other != name)
    return {
        other: FLOOR if other == name else share * (1 - FLOOR) / rest
        for other, share in weights.items()
    }


def _has_sister(s: Situation, name: str) -> bool:
    """Whether another domain of its language is still read."""
    return any(
        language == s.languages[name] and other != name and s.weights[other] > 2 * FLOOR
        for other, language in s.languages.items()
    )
