import json

import numpy as np
import pytest

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu import ledger_json


def build():
    book = ledgers.start(1, {"en": 97, "中文": 40, "code": 7}, {"en": 1 / 3, "中文": 2, "code": 0})
    book = ledgers.append(book, 100, {"en": 1 / 3, "中文": 2, "code": 1e-7})
    weights = {"en": 1, "中文": 1, "code": 1, "math": 0.1}
    book = ledgers.append(book, 200, weights, sizes={"math": 1000})
    book = ledgers.exclude(book, 250, "en", [(3, 40)])
    book = ledgers.exclude(book, 260, "en", [(80, 90)])
    book = ledgers.append(book, 300, weights | {"en": 2.5})
    return ledgers.skip(ledgers.skip(book, 400, 500), 20, 30)


def test_round_trip_gives_the_same_stream_and_the_same_text():
    book = build()
    again = ledger_json.from_json(ledger_json.to_json(book))
    assert ledger_json.to_json(again) == ledger_json.to_json(book)
    cursors = np.append(np.arange(2000), 10**9 + np.arange(100))
    for one, other in zip(
        ledgers.lookup(book, cursors), ledgers.lookup(again, cursors), strict=True
    ):
        assert (one == other).all()
    assert again.domains == book.domains and (again.sizes == book.sizes).all()


def test_only_what_changed_is_written():
    entries = json.loads(ledger_json.to_json(build()))["entries"]
    assert entries[1] == {"at": 100, "weights": {"2": 1e-7}}
    assert entries[2]["sizes"] == {"math": 1000}
    assert entries[3] == {"at": 250, "exclude": {"0": [[3, 40]]}}
    assert entries[5] == {"at": 300, "weights": {"0": 2.5}}


def test_a_long_run_takes_a_few_kilobytes():
    names = [f"domain_{number}" for number in range(8)]
    book = ledgers.start(1, dict.fromkeys(names, 10**6), dict.fromkeys(names, 1.0))
    rng = np.random.default_rng(0)
    for change in range(50):
        weights = dict(zip(names, rng.dirichlet(np.ones(8)), strict=True))
        book = ledgers.append(book, 1000 * (change + 1), weights)
    assert len(ledger_json.to_json(book)) < 6000


def test_a_ledger_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version 2; this program reads version 1"):
        ledger_json.from_json('{"version": 2}')
