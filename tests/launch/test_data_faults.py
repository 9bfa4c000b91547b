import dataclasses
import types

import numpy as np
import pytest

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu.stream import Stream
from launch import data_faults, planting
from tests.dmu.memory import random_store

NAMES = [f"domain{number}" for number in range(6)]
SITE = planting.Site(
    config=types.SimpleNamespace(
        model=types.SimpleNamespace(vocab=500), data=types.SimpleNamespace(seed=3),
        prepare=types.SimpleNamespace(sources=[types.SimpleNamespace(name=n) for n in NAMES]),
        train=types.SimpleNamespace(batch=8), schedule=types.SimpleNamespace(total=8 * 200),
    ),
    workdir=None, step=20, draw=None,
)  # fmt: skip
SHAPE, EVERY = (2, 4), slice(None)


@pytest.fixture
def stream(monkeypatch):
    monkeypatch.setattr(Stream, "batch", Stream.batch)  # put back after what is planted
    return Stream(random_store(dict.fromkeys(NAMES, 40)), 16, "concat")


@pytest.fixture
def ledger(stream):
    return ledgers.start(0, stream.sizes, dict.fromkeys(NAMES, 1.0))


def at(stream, ledger, step):
    return stream.batch(ledger, (step - 1) * 8, SHAPE, EVERY)


def shifted_by_one(batch, rows):
    return np.array_equal(batch.tokens[rows][:, 1:], batch.targets[rows][:, :-1])


CHANGES = (data_faults.poisoned, data_faults.repeated, data_faults.shifted)


@pytest.mark.parametrize("change", CHANGES)
def test_only_bad_rows_are_changed_and_all_of_those(stream, ledger, change):
    before, bad = at(stream, ledger, 1), np.zeros(SHAPE, bool)
    bad[1, 2] = bad[0, 0] = True
    after = change(before, bad, SITE)
    for field, old in before._asdict().items():
        np.testing.assert_array_equal(getattr(after, field)[~bad], old[~bad])
    assert (after.targets != before.targets).any(-1)[bad].all()
    assert shifted_by_one(after, bad) == (change is not data_faults.shifted)
    assert after.tokens.dtype == after.targets.dtype == np.int32


def test_a_shifted_label_is_the_token_after_the_next(stream, ledger):
    before = at(stream, ledger, 1)
    after = data_faults.shifted(before, np.ones(SHAPE, bool), SITE)
    np.testing.assert_array_equal(after.tokens, before.tokens)
    np.testing.assert_array_equal(after.targets[..., :-2], before.tokens[..., 2:])


def test_a_repeated_document_fills_its_rows(stream, ledger):
    after = data_faults.repeated(at(stream, ledger, 1), np.ones(SHAPE, bool), SITE)
    assert len(np.unique(after.tokens.reshape(8, -1), axis=0)) == 1


def test_a_bad_shard_is_bad_for_its_stretch_in_a_third_of_the_domains(stream, ledger):
    first, last = SITE.numbers
    clean = {step: at(stream, ledger, step) for step in (19, 20, last // 8, last // 8 + 1)}
    site = dataclasses.replace(SITE, draw=np.random.default_rng(0))
    data_faults.bad_shard(data_faults.shifted)(site)
    changed = set()
    for step, told in clean.items():
        differs = (at(stream, ledger, step).targets != told.targets).any(-1)
        assert first <= 8 * (step - 1) < last or not differs.any()
        changed |= set(told.domain_ids[..., 0][differs].tolist())
    assert 0 < len(changed) <= len(NAMES) // 3


def test_after_the_step_two_domains_supply_everything(stream, ledger):
    clean = {step: at(stream, ledger, step) for step in (19, 20)}
    data_faults.mixture_step(dataclasses.replace(SITE, draw=np.random.default_rng(0)))
    np.testing.assert_array_equal(at(stream, ledger, 19).tokens, clean[19].tokens)
    late = [at(stream, ledger, step) for step in range(20, 40)]
    assert len(np.unique([batch.domain_ids for batch in late])) == 2
    assert all(shifted_by_one(batch, np.ones(SHAPE, bool)) for batch in late)
