"""Held-out text: nats per token and bits per byte, per domain and per language."""

import math
from collections.abc import Iterator

import numpy as np

from aquila_jax.core.signals import Batch
from aquila_jax.dmu import packing, stream
from aquila_jax.dmu.manifest import DomainInfo
from aquila_jax.dmu.store import TOKENIZER, TokenStore
from aquila_jax.dmu.tokenizer import decode, load_tokenizer
from aquila_jax.evaluate import score
from aquila_jax.model.transformer import Transformer

SPLIT = "heldout"


def evaluate(
    model: Transformer, store: TokenStore, *, length: int, rows: int, limit: int
) -> dict | None:
    """The documents in the first `limit` tokens of each held-out domain; None without any.

    Windows of `length` tokens, `rows` at a time. A document's first token is given and not
    predicted. Bits per byte = nats / (ln 2 * bytes of the text read); the mean is over domains.
    """
    domains, languages = {}, {}
    for info in store.manifest.heldout:
        documents = _documents(store, info, limit)
        batches = _batches(store, info, documents, length=length, rows=rows)
        counts = _sum(model, batches) + [0, 0, _bytes(store, info, documents)]
        domains[info.name] = counts
        languages[info.language] = languages.get(info.language, 0) + counts
    if not domains:
        return None
    by_domain = {name: _figures(counts) for name, counts in domains.items()}
    mean = sum(figures["bits_per_byte"] for figures in by_domain.values()) / len(by_domain)
    return {
        "kind": "heldout",
        "domains": by_domain,
        "languages": {name: _figures(counts) for name, counts in languages.items()},
        "mean": {"bits_per_byte": mean},
    }


def _documents(store: TokenStore, info: DomainInfo, limit: int) -> int:
    """How many documents fit into `limit` tokens, at least one."""
    offsets = store.offsets(SPLIT, info.name)
    return max(1, int(np.searchsorted(offsets, limit, side="right")) - 1)


def _batches(
    store: TokenStore, info: DomainInfo, documents: int, *, length: int, rows: int
) -> Iterator[Batch]:
    """The documents in windows; the last batch is filled up with empty rows."""
    domain = store.names(SPLIT).index(info.name)
    windows = packing.concat([store.offsets(SPLIT, info.name)[: documents + 1]], length)
    last = max(1, -(-int(windows.begin[1] - 1) // length))
    for first in range(0, last, rows):
        row = np.arange(first, min(first + rows, last))
        here = np.zeros_like(row)
        tokens = store.gather(SPLIT, here + domain, row * length, length=length + 1)
        fields = stream.lay_out(tokens, windows.pieces(here, row))
        fill = ((0, rows - len(row)), (0, 0))
        fields = (np.pad(field, fill)[None] for field in fields)
        yield Batch(*fields, domain_ids=np.zeros((1, rows, length), np.int32))


def _sum(model: Transformer, batches: Iterator[Batch]) -> np.ndarray:
    """Nats, predicted tokens, and a place for the bytes."""
    kept = list(batches)
    nats = sum(part.sum() for part in score.row_nats(model, kept))
    return np.array([nats, sum(float(batch.loss_mask.sum()) for batch in kept), 0.0])


def _bytes(store: TokenStore, info: DomainInfo, documents: int) -> int:
    if documents == info.documents:
        return info.bytes
    tokenizer = load_tokenizer(f"{store.path}/{TOKENIZER}")
    texts = (decode(tokenizer, store.document(SPLIT, info.name, i)) for i in range(documents))
    return sum(len(text.encode()) for text in texts)


def _figures(counts: np.ndarray) -> dict:
    nats, tokens, size = counts.tolist()
    return {
        "nats_per_token": nats / max(tokens, 1),
        "bits_per_byte": nats / (math.log(2) * size),
        "tokens": int(tokens),
        "bytes": int(size),
    }
