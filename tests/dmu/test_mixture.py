import numpy as np
import pytest

from aquila_jax.dmu import mixture

KEY = 0x5A5A_1234_9ABC
WEIGHTS = np.array([0.5, 0.3, 0.1, 0.0, 1e-4, 0.0999])


def test_reverse_mirrors_48_bits_and_undoes_itself():
    numbers = np.random.default_rng(0).integers(0, 2**48, 1000)
    mirrored = [int(f"{number:048b}"[::-1], 2) for number in numbers.tolist()]
    assert mixture.reverse(numbers).tolist() == mirrored


@pytest.mark.parametrize("start", [0, 2**20, 10**9 // 4096 * 4096, 2**47])
def test_every_aligned_block_holds_each_share_to_within_one(start):
    limits = mixture.bounds(WEIGHTS)
    shares = WEIGHTS / WEIGHTS.sum()
    for log_size in range(13):
        numbers = start + np.arange(2**log_size)
        counts = np.bincount(mixture.choose(numbers, limits, KEY), minlength=len(shares))
        assert (np.abs(counts - shares * 2**log_size) < 1 + 1e-6).all()


def test_any_prefix_is_within_its_logarithm():
    limits, n = mixture.bounds(WEIGHTS), 5000
    chosen = mixture.choose(np.arange(n), limits, KEY)
    counts = np.cumsum(chosen[:, None] == np.arange(len(WEIGHTS)), axis=0)
    error = np.abs(counts - np.arange(1, n + 1)[:, None] * WEIGHTS / WEIGHTS.sum())
    assert (error.max(axis=1) <= 2 * np.log2(np.arange(1, n + 1) + 1)).all()


@pytest.mark.parametrize("start", [0, 999_999_937, 2**47 - 3000])
def test_rank_and_count_equal_counting_one_by_one(start):
    limits = mixture.bounds(WEIGHTS)
    numbers = start + np.arange(3000)
    chosen = mixture.choose(numbers, limits, KEY)
    before = mixture.count(start, limits, KEY)
    seen = before.copy()
    expected = np.empty(3000, np.int64)
    for row, domain in enumerate(chosen):
        expected[row] = seen[domain]
        seen[domain] += 1
    assert (mixture.rank(numbers, chosen, limits, KEY) == expected).all()
    assert (mixture.count(start + 3000, limits, KEY) == seen).all()
    assert before.sum() == start


def test_a_weight_of_zero_is_never_chosen_and_a_tiny_one_is():
    limits = mixture.bounds(np.array([0.0, 1.0, 0.0, 1e-6, 0.0]))
    counts = mixture.count(10**8, limits, KEY)
    assert counts[[0, 2, 4]].tolist() == [0, 0, 0]
    assert abs(counts[3] - 100) <= 2


@pytest.mark.parametrize("start", [0, 999_999_937, 2**47 - 3000])
def test_find_inverts_rank(start):
    limits = mixture.bounds(WEIGHTS)
    numbers = start + np.arange(500)
    chosen = mixture.choose(numbers, limits, KEY)
    ranks = mixture.rank(numbers, chosen, limits, KEY)
    for domain in np.unique(chosen):
        here = chosen == domain
        assert (mixture.find(ranks[here], domain, limits, KEY) == numbers[here]).all()


def test_points_on_a_limit_belong_to_the_domain_above_it():
    limits, numbers = mixture.bounds(np.ones(4)), np.arange(64)
    chosen = mixture.choose(numbers, limits, 0)
    assert chosen[:4].tolist() == [0, 2, 1, 3]
    assert (mixture.rank(numbers, chosen, limits, 0) == numbers // 4).all()
    assert mixture.count(7, limits, 0).tolist() == [2, 2, 2, 1]
