"""The account agrees with the manifest, with packing and with the published law of repetition."""

import math

import pytest

from aquila_jax.dmu import account, packing
from aquila_jax.dmu.store import TOKENIZER, open_store
from aquila_jax.dmu.tokenizer import decode, encode_batch, load_tokenizer


@pytest.fixture(scope="module")
def store(made_store):
    return open_store(str(made_store))


def test_once_reads_every_domain_one_time(store):
    told = account.account(store, account.once(store, 64))
    for row in told["domains"]:
        assert row["epochs"] == pytest.approx(1, abs=0.02)
        assert row["last_token_value"] > 0.99 and row["fills_a_sequence"]
        assert row["effective_tokens"] == pytest.approx(row["planned_tokens"], rel=1e-3)


def test_repetition_at_the_planned_tokens(store):
    tokens = store.info("train", "en_made").tokens
    unique = tokens - store.info("train", "en_made").documents
    plan = account.Plan(64, 2 * 8 * unique // 64, {"en_made": 0.5, "zh_made": 0.5})
    row, zh, code = account.account(store, plan)["domains"]
    assert row["epochs"] == pytest.approx(8, rel=1e-3)
    assert row["last_token_value"] == pytest.approx(math.exp(-7 / 15.387756), rel=1e-2)  # 0.63
    assert code["share"] == code["epochs"] == 0 and zh["epochs"] > 0


def test_density_is_that_of_the_text_alone(store):
    """By encoding once more what the documents say."""
    tokenizer = load_tokenizer(f"{store.path}/{TOKENIZER}")
    for row in account.account(store, account.once(store, 64))["domains"]:
        documents = (store.document("train", row["name"], i) for i in range(row["documents"]))
        texts = [decode(tokenizer, document) for document in documents]
        tokens = sum(map(len, encode_batch(tokenizer, texts)))
        size = sum(len(text.encode()) for text in texts)
        assert row["tokens_per_byte"] == pytest.approx(tokens / size)
        assert row["tokens_per_character"] == pytest.approx(tokens / sum(map(len, texts)))


def test_languages_add_up_and_packings_are_those_of_the_stream(store):
    told = account.account(store, account.once(store, 64))
    assert sum(row["tokens"] for row in told["languages"]) == sum(
        info.tokens for info in store.manifest.train
    )
    for row in told["packing"]:
        offsets = store.offsets("train", row["name"])
        for kind in packing.PACKINGS:
            both = packing.shares(kind, offsets, 64)
            assert row[kind] == {"cut": both.cut, "padding": both.padding}


def test_a_domain_shorter_than_a_sequence_is_told(store):
    rows = account.account(store, account.once(store, 10**6))["domains"]
    assert not any(row["fills_a_sequence"] for row in rows)
