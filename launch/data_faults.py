"""Faults of the data: random, repeated, mislabelled or misplaced sequences."""

from collections.abc import Callable

import numpy as np

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.stream import Stream
from launch.planting import Site, on_batches, wrap


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
        count = len({source.name for source in site.config.prepare.sources})
        chosen = site.draw.choice(count, max(count // 3, 1), replace=False)

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
    first, skewed = site.numbers[0], {}

    def make(plain):
        def batch(self, ledger, begin, shape, rows):  # noqa: PLR0917
            told = plain(self, ledger, begin, shape, rows)
            cursors = begin + np.arange(shape[0] * shape[1]).reshape(shape)[:, rows]
            numbers = ledgers.lookup(ledger, cursors.ravel()).sequence.reshape(cursors.shape)
            if (numbers < first).all():
                return told
            if not skewed:
                chosen = dict.fromkeys(self.domains, 0.0)
                for index in site.draw.choice(len(self.domains), 2, replace=False):
                    chosen[self.domains[index]] = 0.5
                skewed["ledger"] = ledgers.start(site.config.data.seed + 1, self.sizes, chosen)
            other = plain(self, skewed["ledger"], begin, shape, rows)
            late = (numbers >= first)[..., None]
            return type(told)(*(np.where(late, b, a) for a, b in zip(told, other, strict=True)))

        return batch

    wrap(Stream, "batch", make)
