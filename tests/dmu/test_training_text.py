"""A sample does not depend on how the documents come, stays in its bounds, and is balanced."""

import random

from aquila_jax.dmu.training_text import balance, draw, rank, share


def candidates(count: int, seed: int = 0):
    rng = random.Random(seed)
    return [(rank(f"{seed}-{i}"), size := rng.randint(1, 50), "x" * size) for i in range(count)]


def test_a_draw_of_draws_is_the_draw_of_all_in_any_order():
    everything = candidates(300)
    whole = draw(everything, 1000)
    for seed in range(20):
        shuffled = random.Random(seed).sample(everything, len(everything))
        groups = [shuffled[i :: seed + 1] for i in range(seed + 1)]
        assert draw([one for group in groups for one in draw(group, 1000)], 1000) == whole


def test_a_draw_is_the_shortest_beginning_by_rank_that_fills_the_limit():
    everything = candidates(300)
    for limit in (0, 1, 777, 10**9):
        drawn = draw(everything, limit)
        assert drawn == sorted(everything)[: len(drawn)]
        total = sum(size for _, size, _ in drawn)
        assert total >= limit or len(drawn) == 300
        assert total - (drawn[-1][1] if drawn else 0) < max(limit, 1)


def test_shares_are_equal_but_for_languages_that_lack_text():
    assert share({"en": 100, "zh": 100, "code": 5}, 45) == {"code": 5, "en": 20, "zh": 20}
    assert share({"en": 10, "zh": 10}, 100) == {"en": 10, "zh": 10}
    rng = random.Random(3)
    for _ in range(200):
        available = {str(i): rng.randint(0, 100) for i in range(rng.randint(1, 8))}
        total = rng.randint(0, 500)
        shares = share(available, total)
        assert sum(shares.values()) == min(total, sum(available.values()))
        short = max(shares.values())
        assert all(shares[k] == n or shares[k] >= short - 1 for k, n in available.items())


def test_each_language_gets_the_same_bytes():
    found = {"en": candidates(500, 1), "zh": candidates(900, 2), "code": candidates(4, 3)}
    texts = balance(found, 6000)
    code = sum(size for _, size, _ in found["code"])
    assert abs(sum(map(len, texts)) - 6000) <= 100
    originals = {language: {text for _, _, text in some} for language, some in found.items()}
    assert code < 300 and originals["code"] <= set(texts)
    assert texts == balance({k: v[::-1] for k, v in reversed(found.items())}, 6000)
