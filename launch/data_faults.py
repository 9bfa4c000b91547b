"""Faults of the data: random, repeated, mislabelled or misplaced sequences."""

from collections.abc import Callable

import numpy as np

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.stream import Stream
from launch.planting import Site, looked_up, on_batches, wrap


def random_tokens(batch, bad, vocab: int):
    """Rows where `bad [A, B]` hold random tokens."""
    chance = np.random.default_rng(int(batch.tokens.sum()) % 2**32)
    noise = chance.integers(0, vocab, (*batch.tokens.shape[:-1], batch.tokens.shape[-1] + 1))
    where = bad[..., None]
    return batch._replace(
        tokens=np.where(where, noise[..., :-1], batch.tokens).astype(np.int32),
        targets=np.where(where, noise[..., 1:], batch.targets).astype(np.int32),
    )


def bad_shard(change: Callable) -> Callable[[Site], None]:
    """For a stretch of the run a third of the domains is bad: `change(batch, bad, site)`."""

    def plant(site: Site) -> None:
        first, last = site.numbers
        chosen = site.draw.choice(site.domains, max(site.domains // 3, 1), replace=False)

        def on(batch, numbers, domains):
            bad = (numbers >= first) & (numbers < last) & np.isin(domains, chosen)
            return change(batch, bad, site) if bad.any() else batch

        on_batches(on)

    return plant


def poisoned(batch, bad, site):
    """Random tokens."""
    return random_tokens(batch, bad, site.config.model.vocab)


def repeated(batch, bad, site):
    """One short document over and over."""
    document = np.random.default_rng(site.step).integers(3, site.config.model.vocab, 32)
    row = np.resize(document, batch.tokens.shape[-1] + 1)
    where = bad[..., None]
    return batch._replace(
        tokens=np.where(where, row[:-1], batch.tokens).astype(np.int32),
        targets=np.where(where, row[1:], batch.targets).astype(np.int32),
    )


def shifted(batch, bad, site):
    """Each label is the token after the one it should be."""
    later = np.roll(batch.targets, -1, axis=-1)
    return batch._replace(targets=np.where(bad[..., None], later, batch.targets))


def garbage_domain(site: Site) -> None:
    """One domain is random tokens, from the first step on."""
    vocab = site.config.model.vocab
    on_batches(lambda batch, numbers, domains: random_tokens(batch, domains == 0, vocab))


def unlearnable(site: Site) -> None:
    """All text is random."""
    vocab = site.config.model.vocab
    on_batches(lambda batch, numbers, domains: random_tokens(batch, domains >= 0, vocab))


def mixture_step(site: Site) -> None:
    """From one step on two domains supply everything, while the ledger says otherwise."""
    first, seed = site.numbers[0], site.config.data.seed + 1
    chosen = site.draw.choice(site.domains, 2, replace=False)

    def make(plain):
        def batch(self, ledger, begin, shape, rows):  # noqa: PLR0917
            told = plain(self, ledger, begin, shape, rows)
            late = (looked_up(ledger, begin, shape, rows)[0] >= first)[..., None]
            if not late.any():
                return told
            other = plain(self, of_two(self, chosen, seed), begin, shape, rows)
            return type(told)(*(np.where(late, b, a) for a, b in zip(told, other, strict=True)))

        return batch

    wrap(Stream, "batch", make)


def of_two(stream: Stream, chosen: np.ndarray, seed: int) -> ledgers.Ledger:
    """A ledger that reads the two chosen domains only."""
    weights = dict.fromkeys(stream.domains, 0.0) | {stream.domains[i]: 0.5 for i in chosen}
    return ledgers.start(seed, stream.sizes, weights)
