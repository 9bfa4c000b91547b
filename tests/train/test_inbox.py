"""The journal of a run, listed for a person."""

import pytest

from aquila_jax.core.journal import Journal
from aquila_jax.train import inbox

CALIBRATED = {"low": 2.123456789, "high": 2.5, "calibrated_on": 30}
ALONE = {"low": None, "high": None, "calibrated_on": 0}


@pytest.mark.parametrize(
    ("band", "words"),
    [(CALIBRATED, "final loss 2.300 (90%: 2.123 to 2.500)"), (ALONE, "final loss 2.300 (no band yet)")],
)  # fmt: skip
def test_a_forecast_is_listed_in_three_places_and_with_a_band_only_if_it_has_one(
    tmp_path, band, words
):
    told = {"final_loss": 2.3, "coverage": 0.9} | band
    Journal(tmp_path / "journal.jsonl").append(50, "forecast", forecast=told)
    [line] = inbox.in_words(tmp_path)
    assert line.endswith(words)
