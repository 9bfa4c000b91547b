"""Tokens per second of one core from a warm store, over domains, position, length and rows."""

import itertools
import os
import time
from pathlib import Path

SECONDS = 2.0


def measure(folder: Path) -> list[dict]:
    """Million tokens per second for each combination."""
    from aquila_jax.dmu.store import open_store
    from tests.dmu.memory import random_store, write_store

    os.sched_setaffinity(0, {0})
    told = []
    for domains in (10, 1000):
        place = folder / f"stream{domains}"
        sizes = {f"domain{i:04d}": 16_000 // domains for i in range(domains)}
        write_store(random_store(sizes, longest=1000), str(place))
        store = open_store(str(place))
        for length, rows, first in itertools.product((256, 2048), (16, 256), (0, 10**9)):
            speed = one(store, length=length, rows=rows, first=first)
            where = {"domains": domains, "length": length, "rows": rows, "first": first}
            told.append(where | {"million_tokens_per_second": speed})
            print(told[-1], flush=True)
    return told


def one(store, *, length: int, rows: int, first: int) -> float:
    """Batches of `rows` one after another from cursor `first` on."""
    from aquila_jax.dmu import ledger as ledgers
    from aquila_jax.dmu.stream import Stream

    stream = Stream(store, length, "concat")
    book = ledgers.start(0, stream.sizes, dict.fromkeys(stream.sizes, 1.0))
    cursors = itertools.count(first, rows)
    for cursor in itertools.islice(cursors, 3):
        stream.batch(book, cursor, (1, rows), slice(0, rows))
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        stream.batch(book, next(cursors), (1, rows), slice(0, rows))
        count += 1
    return count * rows * length / (time.perf_counter() - start) / 1e6
