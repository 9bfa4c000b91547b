"""The token store: tokens of every domain, read at any place, from local disk or gs://."""

import hashlib
import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorstore as ts

from aquila_jax.dmu import arrays, places
from aquila_jax.dmu.manifest import NAME, SPLITS, DomainInfo, Manifest, Split, read_manifest

TOKENIZER = "tokenizer.model"
# Two ragged arrays a domain: tokens by document, provenance (JSON) by document.
ARRAYS = ("tokens", "offsets", "provenance", "provenance_offsets")
_CACHE_BYTES = 1 << 28


class TokenStore:
    """A whole store, open for reading. Memory stays below `cache_bytes` plus the offsets.

    A split that fits into half of `cache_bytes` is held whole; of a larger one, TensorStore
    holds the chunks that were read last.
    """

    def __init__(self, path: str, manifest: Manifest, cache_bytes: int = _CACHE_BYTES):
        self.path = path
        self.manifest = manifest
        self._cache_bytes = cache_bytes
        self._context = ts.Context({"cache_pool": {"total_bytes_limit": cache_bytes // 2}})
        self._opened: dict[tuple[str, str, str], ts.TensorStore] = {}
        self._offsets: dict[tuple[str, str], np.ndarray] = {}
        self._whole: dict[str, np.ndarray | None] = {}
        self._lock = threading.Lock()
        self._sizes = {
            split: np.array([info.tokens for info in manifest.split(split)], np.int64)
            for split in SPLITS
        }

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the training domains; a domain's id is its index here."""
        return self.names("train")

    def names(self, split: Split) -> tuple[str, ...]:
        """Names of the domains of a split, as `gather` numbers them."""
        return tuple(info.name for info in self.manifest.split(split))

    def info(self, split: Split, domain: str) -> DomainInfo:
        """A domain's counts."""
        return self.manifest.split(split)[self._index(split, domain)]

    def offsets(self, split: Split, domain: str) -> np.ndarray:
        """Where each document begins, int64 [documents + 1], held in memory."""
        key = (split, domain)
        if key not in self._offsets:
            self._offsets[key] = np.asarray(self._array(split, domain, "offsets").read().result())
        return self._offsets[key]

    def read(
        self, split: Split, domain: str, starts: Sequence[int] | np.ndarray, length: int
    ) -> np.ndarray:
        """Spans of one domain, int32 [n, length], filled with zeros past the domain's end."""
        index = np.full(len(starts), self._index(split, domain))
        return self.gather(split, index, starts, length=length)

    def gather(
        self, split: Split, domains: np.ndarray, starts: Sequence[int] | np.ndarray, *, length: int
    ) -> np.ndarray:
        """Span i from domain number `domains[i]`: int32 [n, length], zeros past the end.

        One call for a whole batch costs no more for a thousand domains than for one.
        """
        starts, sizes = np.asarray(starts, np.int64), self._sizes[split][domains]
        outside = np.flatnonzero((starts < 0) | (starts > sizes))
        if outside.size:
            row = outside[0]
            name = self.names(split)[domains[row]]
            raise ValueError(f"start {starts[row]} is not in 0..{sizes[row]} of {split}/{name}.")
        inside = starts + length <= sizes
        if inside.all():
            return self._spans(split, domains, starts, length).astype(np.int32)
        spans = np.zeros((len(starts), length), np.int32)
        spans[inside] = self._spans(split, domains[inside], starts[inside], length)
        for row in np.flatnonzero(~inside):
            rest = int(sizes[row] - starts[row])
            one = slice(row, row + 1)
            spans[row, :rest] = self._spans(split, domains[one], starts[one], rest)
        return spans

    def document(self, split: Split, domain: str, index: int) -> np.ndarray:
        """One document's tokens, int32, from [CLS] to </s>."""
        begin, end = self.offsets(split, domain)[index : index + 2]
        return self.read(split, domain, [begin], int(end - begin))[0]

    def provenance(self, split: Split, domain: str, index: int) -> dict[str, Any]:
        """Where a document is from: its id, source, file and line."""
        offsets = self._array(split, domain, "provenance_offsets")
        begin, end = offsets[index : index + 2].read().result()
        text = self._array(split, domain, "provenance")[int(begin) : int(end)].read().result()
        return json.loads(text.tobytes())

    def _spans(
        self, split: Split, domains: np.ndarray, starts: np.ndarray, length: int
    ) -> np.ndarray:
        if not starts.size or not length:
            return np.zeros((len(starts), length), np.int32)
        whole = self._resident(split)
        if whole is not None:
            begins = np.cumsum(self._sizes[split]) - self._sizes[split]
            return whole[(begins[domains] + starts)[:, None] + np.arange(length)]
        opened = {
            d: self._array(split, self.names(split)[d], "tokens") for d in set(domains.tolist())
        }
        # One read of a stack of views: 1.3 to 2 times as fast as one read for each.
        views = [
            opened[domain][start : start + length].translate_to[0]
            for domain, start in zip(domains.tolist(), starts.tolist(), strict=True)
        ]
        return ts.stack(views).read().result()

    def _resident(self, split: Split) -> np.ndarray | None:
        """All tokens of a split that is small enough, domain after domain."""
        with self._lock:
            if split not in self._whole:
                width = 2 if self.manifest.vocab_size <= 1 << 16 else 4
                fits = bool(2 * self._sizes[split].sum() * width <= self._cache_bytes)
                reads = [self._array(split, d, "tokens").read() for d in self.names(split)] * fits
                self._whole[split] = np.concatenate([r.result() for r in reads]) if fits else None
            return self._whole[split]

    def _array(self, split: Split, domain: str, name: str) -> ts.TensorStore:
        key = (split, domain, name)
        if key not in self._opened:
            info = self.info(split, domain)
            array = arrays.open_array(places.join(self.path, *key), self._context)
            known = {"tokens": info.tokens, "offsets": info.documents + 1}
            if array.size != known.get(name, array.size):
                raise ValueError(
                    f"{self.path}: {'/'.join(key)} has {array.size} numbers but the manifest says "
                    f"{known[name]}; the store is damaged: prepare it again."
                )
            self._opened[key] = array
        return self._opened[key]

    def _index(self, split: Split, domain: str) -> int:
        names = self.names(split)
        if domain not in names:
            raise ValueError(f"{self.path} has no {split} domain {domain!r}; it has {names}.")
        return names.index(domain)


def open_store(path: str, cache_bytes: int = _CACHE_BYTES) -> TokenStore:
    """Opens a store whose files have the sizes that its manifest says; else ValueError."""
    manifest = read_manifest(path)
    found = places.sizes(path)
    for name, size in manifest.files.items():
        if found.get(name) != size:
            state = f"has {found[name]} bytes" if name in found else "is missing"
            raise ValueError(
                f"{path}: {name} {state} but the manifest says {size} bytes; the store is damaged: "
                "prepare it again."
            )
    return TokenStore(path, manifest, cache_bytes)


def verify(store: TokenStore) -> None:
    """Reads every byte of the store again; ValueError if one is not what was written."""
    model = places.read_bytes(places.join(store.path, TOKENIZER))
    if hashlib.sha256(model).hexdigest() != store.manifest.tokenizer_sha256:
        raise ValueError(f"{store.path}: {TOKENIZER} is not the one of {NAME}: prepare it again.")
    for split in SPLITS:
        for info in store.manifest.split(split):
            if hash_domain(store.path, split, info.name) != info.sha256:
                raise ValueError(
                    f"{store.path}: {split}/{info.name} is not what was written, its sha256 "
                    "differs from the manifest's: prepare the store again."
                )


def hash_domain(path: str, split: Split, domain: str) -> str:
    """The sha256 of the sha256s of a domain's arrays, read from the store."""
    context = ts.Context({"cache_pool": {"total_bytes_limit": 0}})
    folders = [places.join(path, split, domain, name) for name in ARRAYS]
    try:
        digests = [arrays.hash_array(arrays.open_array(folder, context)) for folder in folders]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path}: {split}/{domain} cannot be read: {error}.") from error
    return combine(digests)


def combine(digests: Sequence[str]) -> str:
    """One sha256 for several."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def require_tokenizer(store: TokenStore, sha256: str) -> None:
    """ValueError unless the store was made with the tokenizer of that sha256."""
    if store.manifest.tokenizer_sha256 != sha256:
        raise ValueError(
            f"{store.path} was made with tokenizer {store.manifest.tokenizer_sha256[:12]} but "
            f"{sha256[:12]} is in use: take the store's own {TOKENIZER}, or prepare another store."
        )
