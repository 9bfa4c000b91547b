"""What a repeated token is worth: the data-constrained scaling law (arXiv 2305.16264).

D counts tokens trained on, U unique tokens; epochs = D / U. The constant is from the repository
of the paper (huggingface/datablations), fitted on English sets of at least 100M tokens: a small
or formulaic domain wears out sooner.
"""

import math

import numpy as np

LASTING = 15.387756  # R*_D, repetitions after which 1 / e is left of a token's worth


def effective_tokens(tokens: float, unique: float) -> float:
    """D' = U + U R* (1 - exp(-(D/U - 1) / R*)): as many fresh tokens teach as much (eq. 5)."""
    repetitions = max(0.0, tokens / unique - 1)
    return min(tokens, unique) - unique * LASTING * math.expm1(-repetitions / LASTING)


def repeated_token_value(epochs: float | np.ndarray) -> float | np.ndarray:
    """What one more token teaches after `epochs` passes, 1 for a fresh one: dD'/dD."""
    return np.exp(-np.maximum(epochs - 1, 0.0) / LASTING)
