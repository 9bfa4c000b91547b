import random

import numpy as np
import pytest

from aquila_jax.dmu.clean import scorer

GOOD = [
    "The committee met to discuss the road and the school.",
    "委员会开会讨论了道路和学校的问题。",
]
BAD = ["BUY NOW!!! cheap pills click here win win", "点击领取红包！！！免费中奖加微信"]


def varied(texts, seed):
    rng = random.Random(seed)
    return [" ".join(rng.sample(text.split(), len(text.split()))) for text in texts * 8]


def test_learns_both_languages_and_survives_a_file(tmp_path):
    made = scorer.fit(varied(GOOD, 0), varied(BAD, 1))
    assert min(scorer.score(made, text) for text in GOOD) > 0.7
    assert max(scorer.score(made, text) for text in BAD) < 0.3
    scorer.save(made, str(tmp_path / "quality.npz"))
    again = scorer.load(str(tmp_path / "quality.npz"))
    assert scorer.score(again, GOOD[0]) == scorer.score(made, GOOD[0])
    assert [file.name for file in tmp_path.iterdir()] == ["quality.npz"]


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", b"\x93NUMPY\x01\x00", b"text", np.zeros(3)]
)
def test_a_file_of_another_kind_is_no_scorer(content, tmp_path):
    file = tmp_path / "scorer.npy"
    file.write_bytes(content) if isinstance(content, bytes) else np.save(file, content)
    with pytest.raises(ValueError, match="scorer.npy is no scorer; make one with"):
        scorer.load(str(file))


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ValueError, match="good and bad examples, not 0 and 1"):
        scorer.fit([], ["x"])
    with pytest.raises(ValueError, match="is no scorer"):
        scorer.load(str(tmp_path / "none.npz"))
