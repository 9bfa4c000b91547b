import json

import jax
import numpy as np
import pytest
from flax import nnx

from aquila_jax.dmu.tokenizer import BOS, encode_batch, load_tokenizer, train_tokenizer
from aquila_jax.evaluate import choices
from aquila_jax.model.config import ModelConfig
from aquila_jax.model.transformer import Transformer

ITEMS = [
    {"lang": "en", "task": "capitals", "context": "The capital of France is",
     "choices": ["Paris", "Rome", "Athens"], "answer": 0},
    {"lang": "zh", "task": "capitals", "context": "法国的首都是", "choices": ["巴黎", "罗马"], "answer": 0},
    {"lang": "en", "task": "sums", "context": "two plus two is", "choices": ["five", "four"], "answer": 1},
    {"lang": "en", "task": "capitals", "context": "The capital of Italy is",
     "choices": ["Paris", "Rome", "Athens"], "answer": 1},
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    texts = [item["context"] + " ".join(item["choices"]) for item in ITEMS] * 3
    file.write_bytes(train_tokenizer(texts, 300))
    return load_tokenizer(str(file))


@pytest.fixture
def model(mesh):
    config = ModelConfig(
        vocab=300, layers=1, embed=16, ffn=32, heads=2, kv_heads=1, head_dim=8,
        compute_dtype="float32", init_std=0.5, loss_chunks=1,
    )  # fmt: skip
    return jax.jit(lambda: Transformer(config, nnx.Rngs(0)))()


def put(row) -> jax.Array:
    layout = jax.NamedSharding(jax.sharding.get_mesh(), jax.P())
    return jax.device_put(np.asarray(row, np.int32)[None], layout)


def by_hand(model, tokenizer, context: str, choice: str, gap: str) -> float:
    """Log-likelihood of the choice's tokens, one row, the plain softmax."""
    given, whole = encode_batch(tokenizer, [context, context + gap + choice])
    shared = 0
    while shared < min(len(given), len(whole) - 1) and given[shared] == whole[shared]:
        shared += 1
    tokens = np.concatenate([[BOS], whole]).astype(np.int32)
    n = len(tokens) - 1
    hidden, _ = model(put(tokens[:-1]), put(np.arange(n)), put(np.ones(n)))
    logits = np.asarray(hidden[0] @ model.unembed[...].T, np.float64)[:, :300]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return sum(log_p[i, tokens[i + 1]] for i in range(shared, n))


def test_the_likeliest_choice_wins_as_by_hand(model, tokenizer):
    right, per_byte = [], []
    for item in ITEMS:
        gap = "" if item["lang"] == "zh" else " "
        scores = [by_hand(model, tokenizer, item["context"], c, gap) for c in item["choices"]]
        right.append(int(np.argmax(scores)) == item["answer"])
        sizes = [len(choice.encode()) for choice in item["choices"]]
        per_byte.append(int(np.argmax(np.divide(scores, sizes))) == item["answer"])
    assert sum(right) != sum(per_byte)
    told = choices.evaluate(model, tokenizer, ITEMS, length=64, rows=4)
    assert told["accuracy"]["all"] == np.mean(right)
    assert told["accuracy_per_byte"] == np.mean(per_byte)
    assert told["accuracy"]["en"] == np.mean([right[0], right[2], right[3]])
    assert told["tasks"]["sums"] == right[2]
    assert told["right"] == {
        "en": "".join("01"[hit] for hit in (right[0], right[2], right[3])), "zh": "01"[right[1]],
    }  # fmt: skip
    assert told["chance"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 2 + 1 / 3) / 4)


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_rows_at_a_time_change_nothing(model, tokenizer, rows):
    expected = choices.evaluate(model, tokenizer, ITEMS, length=64, rows=4)
    assert choices.evaluate(model, tokenizer, ITEMS, length=64, rows=rows) == expected


def test_where_not_all_has_room_the_choice_and_the_nearest_context_stay():
    [batch] = choices._batches([(np.arange(10), 2)], length=4, rows=1)
    assert batch.tokens.tolist() == [[[5, 6, 7, 8]]] and batch.targets.tolist() == [[[6, 7, 8, 9]]]
    assert batch.loss_mask.tolist() == [[[0, 0, 1, 1]]]


def test_shots_are_other_items_of_the_same_kind_answered():
    first, second, *_ = choices._prompts(ITEMS, 2)
    assert first == "The capital of Italy is Rome\n\nThe capital of France is"
    assert second == "法国的首都是"


def test_items_are_those_of_the_lines(tmp_path):
    """Whatever ends the lines; a U+2028 inside a text is none of its ends."""
    file = tmp_path / "questions.jsonl"
    odd = ITEMS[0] | {"context": "The capital\u2028of France is"}
    lines = [json.dumps(item, ensure_ascii=False) for item in (odd, ITEMS[1])]
    file.write_bytes("\ufeff{}\r\n\n{}\n".format(*lines).encode())
    assert choices.read_items(str(file)) == [odd, ITEMS[1]]


@pytest.mark.parametrize(
    "line",
    [b'{"lang"', b"[1]", b'"\xff"', b"null", b"[" * 100_000]
    + [
        json.dumps(ITEMS[1] | wrong).encode()
        for wrong in (
            {"answer": 2}, {"answer": -1}, {"answer": "B"}, {"answer": 0.5}, {"answer": True},
            {"choices": None}, {"choices": "ab"}, {"choices": [1, 2]}, {"choices": ["", "a"]},
            {"context": None}, {"choices": ["sat", "ran \ud83d"]}, {"context": "\ud83d"},
        )
    ],
)  # fmt: skip
def test_an_item_that_is_none_is_named_with_its_line(line, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_bytes(json.dumps(ITEMS[0]).encode() + b"\n" + line)
    with pytest.raises(ValueError, match="questions.jsonl:2 is no multiple-choice item"):
        choices.read_items(str(file))


def test_a_file_without_questions_is_refused(tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text("\n")
    with pytest.raises(ValueError, match="questions.jsonl holds no question"):
        choices.read_items(str(file))
