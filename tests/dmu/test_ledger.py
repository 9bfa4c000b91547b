import collections
import dataclasses

import numpy as np
import pytest

from aquila_jax.dmu import ledger as ledgers
from aquila_jax.dmu import permutation

SIZES = {"en": 97, "zh": 40, "code": 7}
WEIGHTS = {"en": 0.5, "zh": 0.3, "code": 0.2}


@pytest.fixture
def book():
    return ledgers.start(3, SIZES, WEIGHTS)


def served(book, count, first=0):
    """(domain name, epoch, index) of each cursor."""
    found = ledgers.lookup(book, first + np.arange(count))
    names = [book.domains[number] for number in found.domain]
    return list(zip(names, found.epoch.tolist(), found.index.tolist(), strict=True))


def epochs_of(rows, domain):
    """epoch -> the indices it served, in order."""
    found = collections.defaultdict(list)
    for name, epoch, index in rows:
        if name == domain:
            found[epoch].append(index)
    return found


def changed(book):
    """A ledger with everything in it: changes, zero weights, new domains, exclusion."""
    book = ledgers.append(book, 130, {"en": 1, "zh": 0, "code": 3})
    weights = {"en": 1, "zh": 1, "code": 0, "math": 2}
    book = ledgers.append(book, 130, weights, sizes={"math": 23})
    book = ledgers.exclude(book, 333, "en", [(10, 30), (25, 40), (90, 97)])
    book = ledgers.append(book, 390, {"en": 2, "zh": 1, "code": 1, "math": 1})
    return ledgers.exclude(book, 395, "en", [(0, 3)])


def test_a_change_loses_nothing_and_repeats_nothing_before_its_epoch_is_over(book):
    rows = served(changed(book), 1500)
    for domain, size in (SIZES | {"math": 23}).items():
        if domain == "en":
            continue
        epochs = epochs_of(rows, domain)
        assert list(epochs) == list(range(len(epochs)))  # in order, none left out
        for epoch in list(epochs)[:-1]:
            assert sorted(epochs[epoch]) == list(range(size))
        last = epochs[len(epochs) - 1]
        assert len(set(last)) == len(last)


def test_excluded_content_is_never_served_again_and_all_else_exactly_once(book):
    book = changed(book)
    rows = served(book, 1500)
    out = set(range(10, 40)) | set(range(90, 97))
    early = {index for name, _, index in rows[:333] if name == "en"}
    assert early & out
    late = {index for name, _, index in rows[333:] if name == "en"}
    assert not late & out
    assert not {index for name, _, index in rows[395:] if name == "en"} & {0, 1, 2}
    epochs = epochs_of(rows, "en")
    running = {epoch for name, epoch, _ in rows[333:395] if name == "en"}
    for epoch in list(epochs)[:-1]:
        assert len(set(epochs[epoch])) == len(epochs[epoch])
        left = set(range(97)) - set(epochs[epoch])
        assert left == (set() if epoch < min(running) else left & (out | {0, 1, 2}))
    assert sorted(epochs[len(epochs) - 2]) == sorted(set(range(97)) - out - {0, 1, 2})


def test_the_order_in_a_domain_is_the_keyed_permutation(book):
    key = permutation.name_key(3, "zh")
    for epoch, indices in epochs_of(served(book, 400), "zh").items():
        expected = permutation.permute(np.arange(40), size=40, key=key, epoch=epoch)
        assert indices == expected[: len(indices)].tolist()


def test_a_new_domain_moves_no_other(book):
    grown = ledgers.append(book, 0, WEIGHTS | {"math": 0.7}, sizes={"math": 23})
    for domain in SIZES:
        old, new = epochs_of(served(book, 300), domain), epochs_of(served(grown, 600), domain)
        assert old[0] == new[0][: len(old[0])]


def test_an_entry_that_changes_nothing_changes_nothing(book):
    same = ledgers.append(book, 77, {name: 10 * weight for name, weight in WEIGHTS.items()})
    same = ledgers.exclude(same, 80, "en", [])
    assert served(book, 500) == served(same, 500)


def test_counts_per_block_hold_across_entries(book):
    book = ledgers.append(book, 40, WEIGHTS)
    rows = served(book, 1024)
    for first in range(0, 1024, 64):
        counts = collections.Counter(name for name, _, _ in rows[first : first + 64])
        assert all(abs(counts[name] - 64 * WEIGHTS[name]) < 1 for name in WEIGHTS)


def test_any_batch_gives_what_one_by_one_gives(book):
    book = ledgers.skip(changed(book), 350, 392)
    whole = served(book, 900)
    assert whole == [row for cursor in range(900) for row in served(book, 1, cursor)]
    shuffled = np.random.default_rng(0).permutation(900)
    found = ledgers.lookup(book, shuffled)
    assert [whole[cursor][2] for cursor in shuffled] == found.index.tolist()


def test_skip_jumps_and_rewind_reads_the_same_up_to_there(book):
    before = ledgers.lookup(book, np.arange(300))
    after = ledgers.lookup(ledgers.skip(ledgers.skip(book, 140, 160), 100, 120), np.arange(300))
    expected = [n for n in range(340) if not (100 <= n < 120 or 140 <= n < 160)]
    assert after.sequence.tolist() == expected
    assert (after.index[:100] == before.index[:100]).all()
    assert (after.index[100:120] == before.index[120:140]).all()
    assert ledgers.skip(ledgers.skip(book, 5, 8), 8, 9).skips == ((5, 9),)


def test_far_positions_are_as_exact_as_near_ones(book):
    book = ledgers.append(book, 10**9, {"en": 1, "zh": 1, "code": 2})
    rows = served(book, 600, 10**9 - 300)
    for domain, size in SIZES.items():
        epochs = list(epochs_of(rows, domain).values())
        for whole in epochs[1:-1]:
            assert sorted(whole) == list(range(size))
    ratio = ledgers.repetition(book, 10**9)
    assert abs(ratio["zh"] / (0.3 * 10**9 / 40) - 1) < 1e-6


def test_repetition_counts_epochs(book):
    book = changed(book)
    for cursor in (0, 1, 129, 130, 333, 394, 1200):
        epochs = ledgers.repetition(book, cursor)
        assert list(epochs) == list(book.domains)
        for domain, size in (("zh", 40), ("code", 7), ("math", 23)):
            seen = sum(name == domain for name, _, _ in served(book, cursor))
            assert epochs[domain] == pytest.approx(seen / size)
    assert ledgers.repetition(book, 1500)["en"] > ledgers.repetition(book, 1400)["en"] > 4


def test_bad_input_gets_one_sentence(book):
    refuse = [
        (lambda: ledgers.start(0, SIZES, {"en": 1, "zh": 1}), "differ in \\['code'\\]"),
        (lambda: ledgers.append(book, 5, WEIGHTS | {"xx": 1}), "differ in \\['xx'\\]"),
        (lambda: ledgers.append(book, 5, WEIGHTS | {"en": float("nan")}), "must be finite"),
        (lambda: ledgers.append(book, 5, WEIGHTS | {"en": -1.0}), "not negative"),
        (lambda: ledgers.append(book, 5, dict.fromkeys(SIZES, 0)), "not all zero"),
        (lambda: ledgers.append(ledgers.append(book, 9, WEIGHTS), 8, WEIGHTS), "only grows"),
        (lambda: ledgers.append(book, 5, WEIGHTS, sizes={"zh": 9}), "already"),
        (lambda: ledgers.start(0, {"a": -1}, {"a": 1}), "negative size"),
        (lambda: ledgers.start(0, {"a": 0, "b": 9}, {"a": 1, "b": 1}), "\\['a'\\].*weight 0"),
        (lambda: ledgers.exclude(book, 5, "xx", [(0, 1)]), "not in the stream"),
        (lambda: ledgers.exclude(book, 5, "zh", [(0, 41)]), "has 40 sequences"),
        (lambda: ledgers.exclude(book, 5, "zh", [(4, 4)]), "must hold something"),
        (lambda: ledgers.exclude(book, 5, "code", [(0, 7)]), "\\['code'\\].*weight 0"),
        (lambda: ledgers.skip(book, 9, 9), "must hold something"),
    ]
    for call, message in refuse:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_domain_may_be_empty_or_wholly_excluded_at_weight_zero(book):
    book = ledgers.append(book, 50, WEIGHTS | {"code": 0, "tiny": 0}, sizes={"tiny": 0})
    book = ledgers.exclude(ledgers.exclude(book, 60, "code", [(0, 7)]), 70, "code", [(2, 3)])
    assert not {"code", "tiny"} & {name for name, _, _ in served(book, 300)[50:]}
    assert ledgers.repetition(book, 100)["tiny"] == 0
    with pytest.raises(ValueError, match="weight 0"):
        ledgers.append(book, 90, WEIGHTS | {"tiny": 0})


def test_the_mixture_of_what_was_read_stays_known(book):
    told = dict(zip(WEIGHTS, [1.0, 2.0, 3.0], strict=True))
    later = ledgers.skip(ledgers.append(book, 50, told), 60, 70)
    assert ledgers.weights_at(later, 49) == ledgers.weights_at(book, 49)
    assert ledgers.weights_at(later, 50) == ledgers.weights_at(later, 65) == told


def test_a_ledger_is_frozen(book):
    with pytest.raises(dataclasses.FrozenInstanceError):
        book.seed = 1
    ledgers.append(book, 10, {"en": 1, "zh": 0, "code": 0})
    assert len(book.entries) == 1
