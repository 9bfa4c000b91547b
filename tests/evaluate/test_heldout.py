import math

import jax
import numpy as np
import pytest
from flax import nnx

from aquila_jax.core import sharding
from aquila_jax.dmu.prepare import PrepareSettings, prepare
from aquila_jax.dmu.sources import Source
from aquila_jax.dmu.store import open_store
from aquila_jax.evaluate import heldout
from aquila_jax.model.config import ModelConfig
from aquila_jax.model.transformer import Transformer

TEXTS = {
    "en": ["a long sentence about the sea. " * 6, "short"],
    "en_more": ["another sentence, about the land. " * 4],
    "zh": ["海上生明月，天涯共此时。" * 5],
}
CONFIG = ModelConfig(
    vocab=300, layers=1, embed=16, ffn=32, heads=2, kv_heads=1, head_dim=8,
    compute_dtype="float32", init_std=0.3, loss_chunks=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heldout")
    sources = []
    for name, texts in TEXTS.items():
        for split in ("train", "heldout"):
            own = folder / f"{name}_{split}"
            own.mkdir()
            for number, text in enumerate(texts):
                text += "\n" * (split == "train")  # not the file that is held out
                (own / f"{number}.txt").write_text(text, encoding="utf-8")
            sources.append(Source(name=name, language=name[:2], paths=(str(own),), split=split))
    settings = PrepareSettings(sources=tuple(sources), vocab_size=300, processes=1)
    prepare(settings, str(folder / "store"), report=lambda line: None)
    return open_store(str(folder / "store"))


def put(row) -> jax.Array:
    layout = jax.NamedSharding(jax.sharding.get_mesh(), jax.P())
    return jax.device_put(np.asarray(row, np.int32)[None], layout)


def make_model():
    return jax.jit(lambda: Transformer(CONFIG, nnx.Rngs(0)))()


def test_each_document_is_scored_as_if_alone(store, mesh):
    """Windows as long as the longest document, so that nothing is cut: by hand, the same nats."""
    model = make_model()
    length = 256
    told = heldout.evaluate(model, store, length=length, rows=2, limit=10**6)
    for info in store.manifest.heldout:
        nats = count = 0
        for number in range(info.documents):
            tokens = store.document("heldout", info.name, number).astype(np.int32)
            n = len(tokens) - 1
            hidden, _ = model(put(tokens[:-1]), put(np.arange(n)), put(np.ones(n)))
            logits = np.asarray(hidden[0] @ model.unembed[...].T, np.float64)[:, :300]
            log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            nats -= log_p[np.arange(n), tokens[1:]].sum()
            count += n
        figures = told["domains"][info.name]
        assert figures["tokens"] == count
        assert figures["bytes"] == sum(len(text.encode()) for text in TEXTS[info.name])
        assert figures["nats_per_token"] == pytest.approx(nats / count, rel=1e-5)
        bits = nats / math.log(2) / figures["bytes"]
        assert figures["bits_per_byte"] == pytest.approx(bits, rel=1e-5)


def test_a_language_is_all_text_of_its_domains(store, mesh):
    told = heldout.evaluate(make_model(), store, length=256, rows=2, limit=10**6)
    english = [told["domains"][name] for name in ("en", "en_more")]
    nats = sum(one["nats_per_token"] * one["tokens"] for one in english)
    tokens, size = (sum(one[key] for one in english) for key in ("tokens", "bytes"))
    assert told["languages"]["en"] == {
        "nats_per_token": pytest.approx(nats / tokens),
        "bits_per_byte": pytest.approx(nats / math.log(2) / size),
        "tokens": tokens,
        "bytes": size,
    }


@pytest.mark.parametrize("length", [32, 256])
def test_every_token_but_a_documents_first_is_predicted_however_it_is_cut(store, length):
    for info in store.manifest.heldout:
        batches = heldout._batches(store, info, info.documents, length=length, rows=3)
        predicted = sum(batch.loss_mask.sum() for batch in batches)
        assert predicted == info.tokens - info.documents


def test_a_document_that_ends_at_the_limit_is_within_it(store):
    info = store.info("heldout", "en")
    assert heldout._documents(store, info, info.tokens) == info.documents == 2
    assert heldout._documents(store, info, info.tokens - 1) == 1


def test_the_limit_takes_whole_documents_and_counts_their_bytes(store, mesh):
    told = heldout.evaluate(make_model(), store, length=64, rows=2, limit=1)
    sizes = {name: len(texts[0].encode()) for name, texts in TEXTS.items()}
    found = {name: figures["bytes"] for name, figures in told["domains"].items()}
    assert found["zh"] == sizes["zh"]
    assert found["en"] in (sizes["en"], len(TEXTS["en"][1].encode()))


def test_the_mesh_does_not_change_it(store, mesh):
    expected = heldout.evaluate(make_model(), store, length=32, rows=8, limit=10**6)
    with jax.set_mesh(sharding.make_mesh({"data": 4, "fsdp": 2})):
        found = heldout.evaluate(make_model(), store, length=32, rows=5, limit=10**6)
    assert found["mean"]["bits_per_byte"] == pytest.approx(
        expected["mean"]["bits_per_byte"], rel=1e-5
    )
