"""A quality score learned from chosen good and bad examples: hashed n-grams, logistic regression."""

import dataclasses
import io
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np
from scipy import special
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from aquila_jax.core import files

FEATURES = 1 << 18
LONGEST = 20_000  # characters of a text that are looked at
# Characters within words work alike for English words and for Chinese, which has no spaces.
FEATURISER = HashingVectorizer(
    analyzer="char_wb", ngram_range=(1, 4), n_features=FEATURES, alternate_sign=False
)


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Log-odds that a text is good: features @ weights + bias."""

    weights: np.ndarray  # float32 [2^18]
    bias: float


def fit(good: Sequence[str], bad: Sequence[str]) -> Scorer:
    """Learns to tell good from bad; ValueError if an example of either is missing."""
    if not good or not bad:
        raise ValueError(f"a scorer needs good and bad examples, not {len(good)} and {len(bad)}.")
    features = FEATURISER.transform([text[:LONGEST] for text in (*good, *bad)])
    model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=200)
    model.fit(features, np.repeat([1, 0], [len(good), len(bad)]))
    return Scorer(model.coef_[0].astype(np.float32), float(model.intercept_[0]))


def score(scorer: Scorer, text: str) -> float:
    """Probability, 0 to 1, that the text is good."""
    return float(
        special.expit(FEATURISER.transform([text[:LONGEST]]) @ scorer.weights + scorer.bias)[0]
    )


def save(scorer: Scorer, path: str) -> None:
    """Writes one .npz file, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weights=scorer.weights, bias=scorer.bias)
    files.write(pathlib.Path(path), buffer.getvalue())


def load(path: str) -> Scorer:
    """ValueError if there is no scorer at `path`."""
    try:
        with open(path, "rb") as file, np.load(file) as stored:
            return Scorer(stored["weights"], float(stored["bias"]))
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no scorer; make one with `scorer.fit` and `scorer.save`."
        ) from error
