"""The order of the data as arithmetic: an append-only list of mixtures, and what follows.

From a ledger and a cursor (how many sequences the run has read) follow the stream number
(skipped numbers are jumped over), the domain (`mixture`), the epoch and the index inside the
domain (`permutation`), in O(log) time and without any other state.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from aquila_jax.dmu import exclusion, grouping, mixture, permutation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """What holds from stream number `first` on; K domains are known by then."""

    first: int
    weights: np.ndarray  # float64 [K], any scale
    offsets: np.ndarray  # int64 [K]: a domain has served offsets + mixture.count(n) before n
    excluded: dict[int, exclusion.Ranges]  # domain -> its sequences that are out

    @property
    def limits(self) -> np.ndarray:
        """The mixture as integers, [K + 1]."""
        return mixture.bounds(self.weights)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """The whole order of the data. Frozen: the functions below return a new one."""

    seed: int
    domains: tuple[str, ...]  # in the order of joining
    sizes: np.ndarray  # int64 [K], sequences per domain
    keys: np.ndarray  # uint64 [K], of each domain's order, by name
    entries: tuple[Entry, ...] = ()
    skips: exclusion.Ranges = ()  # stream numbers that nobody reads

    @functools.cached_property
    def firsts(self) -> np.ndarray:
        """The stream number at which each entry starts."""
        return np.array([entry.first for entry in self.entries], np.int64)

    @property
    def mixture_key(self) -> int:
        """The digital shift of the mixture."""
        return permutation.name_key(self.seed) % 2**mixture.BITS

    def free(self, entry: Entry) -> np.ndarray:
        """Sequences in an epoch of each domain under `entry`, [K]."""
        free = self.sizes[: len(entry.weights)].copy()
        for domain, ranges in entry.excluded.items():
            free[domain] -= exclusion.total(ranges)
        return free

    def holes(self, entry: Entry, domain: int, epoch: int) -> np.ndarray:
        """The positions that one epoch of `domain` leaves out under `entry`, sorted."""
        ranges, key = entry.excluded.get(domain, ()), int(self.keys[domain])
        return exclusion.holes(ranges, size=int(self.sizes[domain]), key=key, epoch=epoch)


class Lookup(NamedTuple):
    """Where sequences come from, each int64 [n]; `domain` counts in `Ledger.domains`."""

    domain: np.ndarray
    epoch: np.ndarray
    index: np.ndarray
    sequence: np.ndarray


def empty(seed: int) -> Ledger:
    """A ledger to `grow`: no domain yet, and no entry."""
    return Ledger(seed=seed, domains=(), sizes=np.zeros(0, np.int64), keys=np.zeros(0, np.uint64))


def start(seed: int, sizes: dict[str, int], weights: dict[str, float]) -> Ledger:
    """A ledger with one mixture; `sizes` are the sequences in each domain."""
    return append(empty(seed), 0, weights, sizes=sizes)


def append(
    ledger: Ledger, first_sequence: int, weights: dict[str, float], *, sizes: dict | None = None
) -> Ledger:
    """The mixture changes at stream number `first_sequence`; domains in `sizes` join, none moves.

    Weights may have any scale and are kept to six significant digits. What a domain has
    served so far is carried over: nothing is lost, nothing repeats within an epoch. A mixture
    equal to the one before changes nothing at all.
    """
    ledger = join(ledger, sizes or {})
    if wrong := sorted(set(weights) ^ set(ledger.domains)):
        raise ValueError(
            f"weights and domains differ in {wrong}; each domain of the stream needs one "
            "weight (0 is allowed)."
        )
    short = np.array([float(f"{weights[name]:.6g}") for name in ledger.domains])
    return grow(
        ledger, first_sequence, short, ledger.entries[-1].excluded if ledger.entries else {}
    )


def exclude(ledger: Ledger, first_sequence: int, domain: str, ranges) -> Ledger:
    """Sequences `ranges` ([first, last) in `domain`) are never served again from there on.

    What is left of the running epoch is still served exactly once.
    """
    if domain not in ledger.domains:
        raise ValueError(f"domain {domain!r} is not in the stream; it has {list(ledger.domains)}.")
    number, entry = ledger.domains.index(domain), ledger.entries[-1]
    merged = exclusion.merge((*ranges, *entry.excluded.get(number, ())))
    if merged and merged[-1][1] > ledger.sizes[number]:
        raise ValueError(
            f"ranges up to {merged[-1][1]} leave domain {domain!r}, which has "
            f"{ledger.sizes[number]} sequences."
        )
    return grow(ledger, first_sequence, entry.weights, entry.excluded | {number: merged})


def skip(ledger: Ledger, first: int, last: int) -> Ledger:
    """Stream numbers [first, last) are never read again: a cursor that comes there jumps.

    Every later cursor moves along, so `first` must not lie before the number at which the
    run goes on: rewind the cursor to a checkpoint at or before `first`, and skip.
    """
    return dataclasses.replace(ledger, skips=exclusion.merge((*ledger.skips, (first, last))))


def grow(ledger: Ledger, first: int, weights: np.ndarray, excluded: dict) -> Ledger:
    """`ledger` with one more entry: the one way in which it changes."""
    last = ledger.entries[-1] if ledger.entries else None
    entry = Entry(first=int(first), weights=weights, offsets=np.zeros(0), excluded=excluded)
    _check(ledger, last, entry)
    counts = np.zeros(len(weights), np.int64)
    if last is not None:
        counts[: len(last.weights)] = passed(ledger, last, first)
        for domain in excluded:
            if excluded[domain] != last.excluded.get(domain):
                counts[domain] = _leave_out(ledger, domain, int(counts[domain]), (last, entry))
    offsets = counts - mixture.count(first, entry.limits, ledger.mixture_key)
    entry = dataclasses.replace(entry, offsets=offsets)
    return dataclasses.replace(ledger, entries=(*ledger.entries, entry))


def lookup(ledger: Ledger, cursors) -> Lookup:
    """Domain, epoch, index in the domain and stream number of each cursor (int64 [n])."""
    sequence = exclusion.jump(ledger.skips, np.asarray(cursors, np.int64))
    domain, epoch, position = (np.empty(len(sequence), np.int64) for _ in range(3))
    for number, rows in grouping.groups(np.searchsorted(ledger.firsts, sequence, side="right") - 1):
        places = _places(ledger, ledger.entries[number], sequence[rows])
        domain[rows], epoch[rows], position[rows] = places
    size, key = ledger.sizes[domain], ledger.keys[domain]
    index = permutation.permute(position, size=size, key=key, epoch=epoch)
    return Lookup(domain, epoch, index, sequence)


def weights_at(ledger: Ledger, cursor: int) -> dict[str, float]:
    """The mixture by which `cursor` is read, of the domains known by then."""
    _, entry = _read_under(ledger, cursor)
    return dict(zip(ledger.domains, entry.weights.tolist(), strict=False))


def repetition(ledger: Ledger, cursor: int) -> dict[str, float]:
    """Epochs of each domain that the stream has passed before `cursor`."""
    sequence, entry = _read_under(ledger, cursor)
    epochs = dict.fromkeys(ledger.domains, 0.0)
    ratio = passed(ledger, entry, sequence) / np.maximum(ledger.free(entry), 1)
    return epochs | dict(zip(ledger.domains, ratio.tolist(), strict=False))


def join(ledger: Ledger, sizes: dict[str, int]) -> Ledger:
    """`ledger` with more domains, still without weights."""
    if twice := sorted(set(sizes) & set(ledger.domains)):
        raise ValueError(f"domains {twice} are in the stream already; give the source a new name.")
    if negative := sorted(name for name, size in sizes.items() if size < 0):
        raise ValueError(f"domains {negative} have a negative size; sizes count sequences.")
    if not sizes:
        return ledger
    keys = [permutation.name_key(ledger.seed, name) for name in sizes]
    return dataclasses.replace(
        ledger,
        domains=(*ledger.domains, *sizes),
        sizes=np.append(ledger.sizes, np.array(list(sizes.values()), np.int64)),
        keys=np.append(ledger.keys, np.array(keys, np.uint64)),
    )


def _check(ledger: Ledger, last: Entry | None, entry: Entry) -> None:
    """Refuses an entry that does not fit, with one sentence."""
    if last is not None and entry.first < last.first:
        raise ValueError(
            f"an entry at sequence {entry.first} comes before the last one, at {last.first}; a "
            "ledger only grows: rewind with the ledger of the checkpoint."
        )
    weights = entry.weights
    if not (np.isfinite(weights).all() and (weights >= 0).all() and 0 < weights.sum() < np.inf):
        named = dict(zip(ledger.domains, weights.tolist(), strict=True))
        raise ValueError(f"weights {named} must be finite, not negative and not all zero.")
    if (empty := (ledger.free(entry) <= 0) & (weights > 0)).any():
        names = [name for name, bad in zip(ledger.domains, empty, strict=True) if bad]
        raise ValueError(
            f"domains {names} have a weight but not one whole sequence to serve; give them more "
            "text, or weight 0."
        )


def _read_under(ledger: Ledger, cursor: int) -> tuple[int, Entry]:
    """The stream number that `cursor` reads, and the entry that holds there."""
    sequence = int(exclusion.jump(ledger.skips, np.int64(cursor)))
    return sequence, ledger.entries[np.searchsorted(ledger.firsts, sequence, side="right") - 1]


def passed(ledger: Ledger, entry: Entry, first: int) -> np.ndarray:
    """Sequences of each domain before stream number `first`, which lies under `entry`."""
    return entry.offsets + mixture.count(first, entry.limits, ledger.mixture_key)


def _leave_out(ledger: Ledger, domain: int, count: int, entries: tuple[Entry, Entry]) -> int:
    """What `count` is to be in the order with more holes, so that the order goes on there.

    Counting in the new, shorter epochs, the running epoch keeps its number and its order.
    """
    before, after = (int(ledger.free(entry)[domain]) for entry in entries)
    if not before:
        return count
    epoch, place = divmod(count, before)
    position = exclusion.place_to_position(place, ledger.holes(entries[0], domain, epoch))
    return epoch * after + exclusion.position_to_place(
        position, ledger.holes(entries[1], domain, epoch)
    )


def _places(ledger: Ledger, entry: Entry, sequence: np.ndarray):
    """Domain, epoch and position in the epoch's order of stream numbers under `entry`."""
    limits, key = entry.limits, ledger.mixture_key
    domain = mixture.choose(sequence, limits, key)
    served = entry.offsets[domain] + mixture.rank(sequence, domain, limits, key)
    epoch, position = np.divmod(served, ledger.free(entry)[domain])
    for number in entry.excluded:
        rows_here = np.flatnonzero(domain == number)
        for epoch_here, some in grouping.groups(epoch[rows_here]):
            rows = rows_here[some]
            holes = ledger.holes(entry, number, epoch_here)
            position[rows] = exclusion.place_to_position(position[rows], holes)
    return domain, epoch, position
