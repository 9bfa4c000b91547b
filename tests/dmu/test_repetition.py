import pytest

from aquila_jax.dmu import repetition


@pytest.mark.parametrize(
    ("epochs", "value"), [(1, 1.0), (2, 0.94), (4, 0.82), (8, 0.63), (16, 0.38), (40, 0.08)]
)
def test_a_repeated_token_is_worth_what_the_paper_says(epochs, value):
    assert repetition.repeated_token_value(epochs) == pytest.approx(value, abs=0.006)


def test_the_value_is_the_slope_of_the_effective_tokens():
    for epochs in (1.5, 3, 10, 50):
        step = 1e-5
        rise = repetition.effective_tokens((epochs + step) * 7, 7)
        rise -= repetition.effective_tokens((epochs - step) * 7, 7)
        assert rise / (14 * step) == pytest.approx(
            repetition.repeated_token_value(epochs), rel=1e-6
        )


def test_fresh_tokens_count_in_full_and_repetition_has_a_limit():
    assert repetition.effective_tokens(3, 7) == 3
    assert repetition.effective_tokens(7, 7) == 7
    assert repetition.repeated_token_value(0.5) == 1
    assert repetition.effective_tokens(1e9, 7) == pytest.approx(7 * (1 + 15.387756))
