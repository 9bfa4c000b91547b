"""No copy of a held-out document stays, whatever was edited; what only looks like one does."""

import random

import pytest

from aquila_jax.dmu.clean import heldout
from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.clean.settings import Duplicates
from aquila_jax.dmu.sources import Flaw
from tests.dmu.clean.test_pipeline import chinese, edited, english

LIMITS = Duplicates()
RNG = random.Random(0)
HELD = [english(RNG) if at % 2 else chinese(RNG) for at in range(40)]
INDEX = heldout.build(
    [Document(text=text, id=f"h{at}", domain="news") for at, text in enumerate(HELD)], LIMITS
)


def found(text):
    return heldout.find(INDEX, text, LIMITS)


def test_exact_and_near_copies_are_found_in_both_languages():
    for at, text in enumerate(HELD):
        assert found(text) == (f"news: h{at}", 1.0)
        assert found(text.upper().replace(" ", "  "))[0] == f"news: h{at}"
        name, similarity = found(edited(text, RNG))
        assert name == f"news: h{at}" and 0.75 <= similarity < 1


@pytest.mark.parametrize("write", [english, chinese])
def test_other_text_is_none(write):
    assert all(found(write(RNG)) is None for _ in range(40))
    assert found("") is None
    at = 1 if write is english else 0
    assert found(HELD[at][: len(HELD[at]) // 2]) is None  # half of one is no near copy


def test_what_cannot_be_read_and_what_is_empty_has_no_copies():
    given = [Flaw(file="f", line=1, reason="broken"), Document(text=" \n", id="a")]
    empty = heldout.build(given, LIMITS)
    assert heldout.find(empty, HELD[0], LIMITS) is None and heldout.find(empty, "", LIMITS) is None
