"""Synthetic loss and gradient-norm series with the features that fool detectors."""

import numpy as np

from aquila_jax.core.signals import Signals
from aquila_jax.tsm import history
from aquila_jax.tsm.context import Context
from aquila_jax.tsm.detect import Reading


def clean(seed: int, steps: int, *, sigma: float = 0.015, tail: float = 5.0, warmup: int = 200):
    """Loss and gradient norm `[steps]`: steep early descent, heavy-tailed noise, drifting norm.

    Noise is Student t with `tail` degrees of freedom, partly shared between the two, larger at
    first; the norm overshoots in the warm-up and falls with the loss, as in real runs.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(1, steps + 1)
    learned = np.minimum(t / warmup, 1.0) * t
    loss = 2.2 + 8.6 * (1 + learned / 15) ** -0.45
    growth = 1 + 1.5 * np.exp(-t / 150)
    shared, own, norm = rng.standard_t(tail, (3, steps)) / np.sqrt(tail / (tail - 2))
    noise = sigma * growth * (0.8 * own + 0.6 * shared)
    level = 0.25 + 3.0 * np.exp(-t / 80) + 0.8 * (t / 60) * np.exp(1 - t / 60)
    norms = level * np.exp(0.12 * growth * (0.8 * norm + 0.6 * shared))
    return loss * np.exp(noise), norms


def observe_all(observe, settings, state, series):
    """The verdicts of a detector that only watches pairs of loss and norm, and its last state."""
    verdicts = []
    for step, (loss, grad_norm) in enumerate(series, 1):
        reading = Reading(step, float(loss), float(grad_norm), False)
        state, verdict = observe(settings, state, reading)
        verdicts.append(verdict)
    return verdicts, state


DOMAINS = ("en_web", "en_books", "zh_web", "zh_news")
LANGUAGES = ("en", "en", "zh", "zh")
TOKENS = 4096


def run(seed: int, steps: int, *, layers: int = 4, change=lambda step, fields: fields):
    """The `Signals` and `Context` of each step of a healthy run; `change` plants a fault.

    `change(step, fields)` gets and returns the fields of `Signals` as a dict.
    """
    rng = np.random.default_rng(seed)
    losses, norms = clean(seed, steps)
    offset_M = np.array([0.95, 1.1, 0.9, 1.05])
    weights = dict.fromkeys(DOMAINS, 0.25)
    for index in range(steps):
        step = index + 1
        tokens_M = rng.multinomial(16, [0.25] * 4) * (TOKENS // 16)
        noise_M = np.exp(0.05 * rng.standard_normal(4) / np.sqrt(np.maximum(tokens_M, 256) / 1024))
        nats_M = losses[index] * offset_M * noise_M * tokens_M
        grad_square = norms[index] ** 2
        rate = 1e-3 * min(1.0, step / 200)
        fields = {
            "loss": nats_M.sum() / TOKENS,
            "domain_nats_M": nats_M,
            "domain_tokens_M": tokens_M.astype(float),
            "log_z_squared": 60.0 * np.exp(-step / 300) + 5 + 0.2 * rng.standard_normal(),
            "learning_rate": rate,
            "grad_norm": norms[index],
            "micro_grad_square": grad_square * (1 + 0.6 * rng.uniform(0.8, 1.2)),
            "update_ratio": 12 * rate * np.exp(0.05 * rng.standard_normal()),
            "update_rms_N": rate * 0.25 * np.exp(0.1 * rng.standard_normal(layers)),
            "weight_rms_N": 0.02 * (1 + step / 5000) * np.ones(layers),
            "grad_norm_N": norms[index] / 2 * np.exp(0.2 * rng.standard_normal(layers)),
            "skipped": 0.0,
        }
        fields = change(step, fields)
        signals = Signals(**{name: np.float32(value) for name, value in fields.items()})
        yield (
            signals,
            Context(
                step=step,
                tokens=float(step * TOKENS),
                batch=16,
                micro_batches=4,
                learning_rate=rate,
                progress=step / steps,
                weights=weights,
            ),
        )


def context(step: int, *, tokens: float = 1.0, batch: int = 8) -> Context:
    """The `Context` of a step of which nothing else matters."""
    rest = {"learning_rate": 1e-3, "progress": 0.5, "weights": {}}
    return Context(step=step, tokens=tokens, batch=batch, micro_batches=1, **rest)


def filled(loss_of, *, steps=1000, noise=0.0, tokens=1000, seed=0):
    """A history of `loss_of(n)` -> losses `[M]`, with equal tokens for each domain."""
    rng = np.random.default_rng(seed)
    count = len(loss_of(1.0))
    state = history.start(count)
    for step in range(1, steps + 1):
        n = step * tokens * count
        losses = np.asarray(loss_of(n)) * np.exp(noise * rng.standard_normal(count))
        sums_M = np.stack((losses * tokens, np.full(count, tokens)))
        state = history.add(state, step=step, tokens=n, learning_rate=1.0, batch=8, sums_M=sums_M)
    return state
