"""How far the weights of each type have moved between checkpoints, as the report measures it."""

import numpy as np

from aquila_jax.core.signals import PARAMETER_TYPES


def frechet(first_NC: np.ndarray, second_NC: np.ndarray) -> float:
    """Discrete Fréchet distance of two curves of points (Eiter and Mannila, 1994).

    The shortest leash for two walkers who each go forward through their own points.
    """
    if not len(first_NC) or not len(second_NC):
        raise ValueError("a curve without points has no distance; give at least one point.")
    gap = np.linalg.norm(first_NC[:, None] - second_NC[None, :], axis=-1)
    # One row at a time: leash[j] is the answer for the first i + 1 and j + 1 points.
    leash = np.maximum.accumulate(gap[0])
    for row in gap[1:]:
        reach = np.minimum(leash, np.concatenate(([np.inf], leash[:-1])))
        here = np.empty_like(leash)
        best = np.inf
        for j, (before, cost) in enumerate(zip(reach.tolist(), row.tolist(), strict=True)):
            best = max(cost, min(before, best))
            here[j] = best
        leash = here
    return float(leash[-1])


def distances(
    before_PN: np.ndarray, after_PN: np.ndarray, billions_of_tokens: float
) -> dict[str, float]:
    """Per parameter type, the distance of two curves of weight std over layers, per 1B tokens.

    Aquila2 report (arXiv 2408.07410, section 3.2.3). It leaves the plane of the curves open;
    ours has points (layer number, std). Layers are at least 1 apart, so while no std moves by
    more than 1 layers pair with themselves, and the distance is the largest change of any layer.
    """
    if before_PN.shape != after_PN.shape or len(before_PN) != len(PARAMETER_TYPES):
        raise ValueError(
            f"weight curves of shapes {before_PN.shape} and {after_PN.shape} must both be "
            f"[{len(PARAMETER_TYPES)}, layers]; after growing a model, start a new trajectory."
        )
    if billions_of_tokens <= 0:
        raise ValueError(f"billions_of_tokens={billions_of_tokens} must be positive.")
    layers = np.arange(before_PN.shape[1], dtype=float)
    return {
        kind: frechet(np.stack((layers, before), 1), np.stack((layers, after), 1))
        / billions_of_tokens
        for kind, before, after in zip(PARAMETER_TYPES, before_PN, after_PN, strict=True)
    }
