"""All that is measured of a model at a checkpoint: held-out text, and questions if there are any."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aquila_jax.core import limits
from aquila_jax.dmu.store import TOKENIZER, TokenStore
from aquila_jax.dmu.tokenizer import load_tokenizer
from aquila_jax.evaluate import choices, heldout
from aquila_jax.model.transformer import Transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How much is measured, and on what."""

    heldout_tokens: int = 100_000  # of each domain
    rows: int = 16  # sequences at a time
    questions: tuple[str, ...] = ()  # files of multiple-choice items
    shots: int = 0

    def __post_init__(self):
        limits.at_least(1, self, "evaluate", "heldout_tokens", "rows")
        limits.at_least(0, self, "evaluate", "shots")


def read(files: Sequence[str]) -> dict[str, list[dict]]:
    """The items of each file: read before there is a model to wait for."""
    return {file: choices.read_items(file) for file in files}


def evaluate(
    config: EvaluateConfig,
    model: Transformer,
    store: TokenStore,
    *,
    length: int,
    questions: Mapping[str, list[dict]],
) -> Iterator[dict]:
    """Lines for evaluations.jsonl, without step and tokens; `questions`: what `read` gives."""
    told = heldout.evaluate(
        model, store, length=length, rows=config.rows, limit=config.heldout_tokens
    )
    if told is not None:
        yield told
    for file, items in questions.items():
        tokenizer = load_tokenizer(f"{store.path}/{TOKENIZER}")
        answered = choices.evaluate(
            model, tokenizer, items, length=length, rows=config.rows, shots=config.shots
        )
        yield answered | {"file": Path(file).name}


def in_words(line: dict) -> str:
    """One line for a person."""
    if line["kind"] == "questions":
        parts = (f"{name} {share:.1%}" for name, share in line["accuracy"].items())
        return f"  questions right: {', '.join(parts)} (chance {line['chance']:.1%})"
    languages = line["languages"].items()
    parts = (f"{name} {figures['bits_per_byte']:.3f}" for name, figures in languages)
    mean = line["mean"]["bits_per_byte"]
    return f"  held-out bits per byte: {mean:.3f} ({', '.join(parts)})"
