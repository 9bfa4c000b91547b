"""Multiple choice: the option that the model finds most likely after the context."""

import collections
import itertools
import json
from collections.abc import Iterator, Sequence

import numpy as np

from aquila_jax.core.signals import Batch
from aquila_jax.dmu import places
from aquila_jax.dmu.tokenizer import BOS, Tokenizer, encode_batch
from aquila_jax.evaluate import score
from aquila_jax.model.transformer import Transformer

FIELDS = {"lang": str, "task": str, "context": str, "choices": list, "answer": int}


def read_items(path: str) -> list[dict]:
    """Items {"id", "lang", "task", "context", "choices", "answer"}, one JSON object a line."""
    try:
        lines = places.lines(path)
    except OSError as error:
        raise ValueError(
            f"questions {path} cannot be read ({error.strerror or error}); name a file with a "
            f"JSON object on each line, of {', '.join(FIELDS)}."
        ) from error
    items = []
    for number, line in lines:
        try:
            items.append(_item(json.loads(line.decode())))
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{path}:{number} is no multiple-choice item ({error}); each line must be a JSON "
                f"object with {', '.join(FIELDS)}."
            ) from error
    if not items:
        raise ValueError(f"{path} holds no question; give a file with one on each line.")
    return items


def _item(item: object) -> dict:
    """The item; ValueError if a field is missing or of another kind."""
    if not isinstance(item, dict):
        raise ValueError("not an object")
    for name, kind in FIELDS.items():
        if type(item.get(name)) is not kind:
            raise ValueError(f"`{name}` must be of type {kind.__name__}")
    if not all(isinstance(choice, str) and choice for choice in item["choices"]):
        raise ValueError("`choices` must be texts")
    json.dumps(item, ensure_ascii=False).encode()  # halves of surrogate pairs are no text
    if not 0 <= item["answer"] < len(item["choices"]):
        raise ValueError("`answer` must be an index into `choices`")
    return item


def evaluate(
    model: Transformer,
    tokenizer: Tokenizer,
    items: Sequence[dict],
    *,
    length: int,
    rows: int,
    shots: int = 0,
) -> dict:
    """Accuracy over all, per language and per task, by log-likelihood and by that per byte.

    With `shots`, as many other items of the same task and language stand before each, answered.
    """
    spans = _spans(tokenizer, items, shots)
    nats = np.concatenate([np.zeros(0), *score.row_nats(model, _batches(spans, length, rows))])
    scores = iter(-nats[: len(spans)])
    right, right_per_byte = [], []
    for item in items:
        own = np.array(list(itertools.islice(scores, len(item["choices"]))))
        sizes = [len(choice.encode()) for choice in item["choices"]]
        right.append(int(own.argmax()) == item["answer"])
        right_per_byte.append(int((own / sizes).argmax()) == item["answer"])
    return {
        "kind": "questions",
        "items": len(items),
        "shots": shots,
        "accuracy": _by(items, right, "lang") | {"all": float(np.mean(right))},
        "accuracy_per_byte": float(np.mean(right_per_byte)),
        "chance": float(np.mean([1 / len(item["choices"]) for item in items])),
        "tasks": _by(items, right, "task"),
        "right": _answers(items, right),  # for paired tests against another model
    }


def _spans(tokenizer: Tokenizer, items: Sequence[dict], shots: int) -> list[tuple[np.ndarray, int]]:
    """For each choice of each item: all tokens, [CLS] first, and how many are the choice's own."""
    contexts = _prompts(items, shots)
    texts = [
        (context, context + _gap(item, context) + choice)
        for item, context in zip(items, contexts, strict=True)
        for choice in item["choices"]
    ]
    given = encode_batch(tokenizer, [context for context, _ in texts])
    whole = encode_batch(tokenizer, [text for _, text in texts])
    return [
        (np.append(np.int32(BOS), full), _own(part, full))
        for part, full in zip(given, whole, strict=True)
    ]


def _own(context: np.ndarray, full: np.ndarray) -> int:
    """Tokens of `full` after the part it shares with `context`."""
    short = min(len(context), len(full) - 1)
    same = context[:short] == full[:short]
    return len(full) - (short if same.all() else int(np.argmin(same)))


def _prompts(items: Sequence[dict], shots: int) -> list[str]:
    """Each item's context after the first others of its task and language, answered."""
    kinds = collections.defaultdict(list)
    for item in items:
        kinds[item["task"], item["lang"]].append(item)
    return [_prompt(item, kinds[item["task"], item["lang"]], shots) for item in items]


def _prompt(item: dict, same: Sequence[dict], shots: int) -> str:
    shown = itertools.islice((other for other in same if other is not item), shots)
    solved = (
        f"{o['context']}{_gap(o, o['context'])}{o['choices'][o['answer']]}\n\n" for o in shown
    )
    return "".join(solved) + item["context"]


def _gap(item: dict, context: str) -> str:
    """A space between English words, none in Chinese nor at the start."""
    return " " if item["lang"] != "zh" and context and not context[-1].isspace() else ""


def _batches(spans: list[tuple[np.ndarray, int]], length: int, rows: int) -> Iterator[Batch]:
    """One span a row; one too long loses its beginning."""
    for first in range(0, len(spans), rows):
        fields = {name: np.zeros((1, rows, length), np.int32) for name in Batch._fields}
        fields["loss_mask"] = np.zeros((1, rows, length), np.float32)
        for row, (tokens, own) in enumerate(spans[first : first + rows]):
            tokens = tokens[-length - 1 :]
            end = len(tokens) - 1
            fields["tokens"][0, row, :end] = tokens[:-1]
            fields["targets"][0, row, :end] = tokens[1:]
            fields["segment_ids"][0, row, :end] = 1
            fields["positions"][0, row, :end] = np.arange(end)
            fields["loss_mask"][0, row, max(0, end - own) : end] = 1
        yield Batch(**fields)


def _answers(items: Sequence[dict], right: Sequence[bool]) -> dict[str, str]:
    """Per language a 1 for each item answered right and a 0 for each other, in their order."""
    found: dict[str, str] = {}
    for item, hit in zip(items, right, strict=True):
        found[item["lang"]] = found.get(item["lang"], "") + "01"[hit]
    return found


def _by(items: Sequence[dict], right: Sequence[bool], key: str) -> dict[str, float]:
    groups: dict[str, list[bool]] = {}
    for item, hit in zip(items, right, strict=True):
        groups.setdefault(item[key], []).append(hit)
    return {name: float(np.mean(hits)) for name, hits in groups.items()}
