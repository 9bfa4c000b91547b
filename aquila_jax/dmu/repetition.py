"""What a repeated token is worth: the data-constrained scaling law (arXiv 2305.16264).

Constants from the repository of the paper (huggingface/datablations). N counts parameters,
D tokens trained on, U unique tokens; epochs = D / U. Fitted on English sets of at least 100M
tokens: a small or formulaic domain wears out sooner.
"""

import math

TOKENS_HALF = 15.387756  # R*_D
PARAMETERS_HALF = 5.309743  # R*_N
ALPHA = BETA = 0.3526596
LN_A, LN_B, LN_E = 6.255414, 7.3049974, 0.6254804


def effective_tokens(tokens: float, unique: float) -> float:
    """D' = U + U R* (1 - exp(-(D/U - 1) / R*)): as many fresh tokens teach as much (eq. 5)."""
    return _worn(tokens, unique, TOKENS_HALF)


def repeated_token_value(epochs: float) -> float:
    """What one more token teaches after `epochs` passes, 1 for a fresh one: dD'/dD."""
    return math.exp(-max(0.0, epochs - 1) / TOKENS_HALF)


def loss(parameters: float, tokens: float, unique: float) -> float:
    """Nats a token of an N-parameter model after D tokens of which U are unique (eq. 6)."""
    a, b, e = math.exp(LN_A), math.exp(LN_B), math.exp(LN_E)
    ratio = (ALPHA * a / (BETA * b)) ** (1 / (ALPHA + BETA))
    enough = min(parameters, (unique * ratio) ** (BETA / ALPHA) * ratio)
    n = _worn(parameters, enough, PARAMETERS_HALF)
    return e + a / n**ALPHA + b / effective_tokens(tokens, unique) ** BETA


def _worn(total: float, unique: float, half: float) -> float:
    """`unique` and what its repetitions add, which fades like exp(-repetitions / half)."""
    repetitions = max(0.0, total / unique - 1)
    return min(total, unique) - unique * half * math.expm1(-repetitions / half)
