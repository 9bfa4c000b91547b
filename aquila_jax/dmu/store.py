"""The token store: tokens of every domain, read at any place, from local disk or gs://."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from aquila_jax.dmu import arrays, places
from aquila_jax.dmu.manifest import NAME, SPLITS, DomainInfo, Manifest, Split, read_manifest
from aquila_jax.dmu.progress import Report, track

TOKENIZER = "tokenizer.model"
# Two ragged arrays a domain: tokens by document, provenance (JSON) by document.
ARRAYS = ("tokens", "offsets", "provenance", "provenance_offsets")


class TokenStore:
    """A whole store, open for reading. It holds no tokens, only the offsets that were asked for.

    `elsewhere`: domain -> folder of those that lie in another store, see `join`.
    """

    def __init__(self, path: str, manifest: Manifest, elsewhere: dict[str, str] | None = None):
        self.path = path
        self.manifest = manifest
        self.elsewhere = elsewhere or {}
        self._numbers: dict[tuple[str, str, str], arrays.Numbers] = {}
        self._offsets: dict[tuple[str, str], np.ndarray] = {}

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
            documents = self.info(split, domain).documents
            self._offsets[key] = self._span((*key, "offsets"), 0, documents + 1)
        return self._offsets[key]

    def read(
        self, split: Split, domain: str, starts: Sequence[int] | np.ndarray, length: int
    ) -> np.ndarray:
        """Spans of one domain, int32 [n, length], filled with zeros past the domain's end."""
        index = np.full(len(starts), self._index(split, domain))
        return self.gather(split, index, starts, length=length)

    def gather(
        self,
        split: Split,
        domains: Sequence[int] | np.ndarray,
        starts: Sequence[int] | np.ndarray,
        *,
        length: int,
    ) -> np.ndarray:
        """Span i from domain number `domains[i]`: int32 [n, length], zeros past the end.

        All spans are on their way at once, and a thousand domains cost no more than one.
        """
        infos, coming = self.manifest.split(split), []
        for domain, start in zip(
            np.asarray(domains).tolist(), np.asarray(starts).tolist(), strict=True
        ):
            name, size = infos[domain].name, infos[domain].tokens
            if not 0 <= start <= size:
                raise ValueError(f"start {start} is not in 0..{size} of {split}/{name}.")
            tokens = self._open((split, name, "tokens"))
            coming.append((tokens, arrays.request(tokens, start, length)))
        spans = np.zeros((len(coming), length), np.int32)
        for row, (tokens, requests) in enumerate(coming):
            span = arrays.collect(tokens, requests)
            spans[row, : len(span)] = span
        return spans

    def document(self, split: Split, domain: str, index: int) -> np.ndarray:
        """One document's tokens, int32, from [CLS] to </s>."""
        begin, end = self.offsets(split, domain)[index : index + 2]
        return self.read(split, domain, [begin], int(end - begin))[0]

    def provenance(self, split: Split, domain: str, index: int) -> dict[str, Any]:
        """Where a document is from: its id, source, file and line."""
        begin, end = self._span((split, domain, "provenance_offsets"), index, 2).tolist()
        array = arrays.open_array(self._folder(split, domain, "provenance"))
        return json.loads(array[begin:end].read().result().tobytes())

    def _span(self, key: tuple[str, str, str], begin: int, length: int) -> np.ndarray:
        numbers = self._open(key)
        return arrays.collect(numbers, arrays.request(numbers, begin, length))

    def _open(self, key: tuple[str, str, str]) -> arrays.Numbers:
        if key not in self._numbers:
            split, domain, name = key
            info, numbers = (
                self.info(split, domain),
                arrays.open_numbers(self._folder(*key)),
            )
            size = info.tokens if name == "tokens" else info.documents + 1
            if numbers.size != size:
                raise ValueError(
                    f"{self.path}: {'/'.join(key)} has {numbers.size} numbers but the manifest says "
                    f"{size}; the store is damaged: remove it and run prepare again."
                )
            self._numbers[key] = numbers
        return self._numbers[key]

    def _folder(self, split: Split, domain: str, name: str) -> str:
        return places.join(self.elsewhere.get(domain, self.path), split, domain, name)

    def _index(self, split: Split, domain: str) -> int:
        names = self.names(split)
        if domain not in names:
            raise ValueError(f"{self.path} has no {split} domain {domain!r}; it has {names}.")
        return names.index(domain)


def open_store(path: str) -> TokenStore:
    """Opens a store whose files have the sizes that its manifest says; else ValueError."""
    manifest = read_manifest(path)
    found = places.sizes(path)
    for name, size in manifest.files.items():
        if found.get(name) != size:
            state = f"has {found[name]} bytes" if name in found else "is missing"
            raise ValueError(
                f"{path}: {name} {state} but the manifest says {size} bytes; the store is damaged: "
                "remove it and run prepare again."
            )
    return TokenStore(path, manifest)


def join(store: TokenStore, other: TokenStore) -> TokenStore:
    """Both stores as one, the domains of `other` behind; ValueError if a name is in both."""
    names = {info.name for split in SPLITS for info in other.manifest.split(split)}
    if twice := sorted(names & {name for split in SPLITS for name in store.names(split)}):
        raise ValueError(
            f"{other.path}: domains {twice} are in the run already; prepare the source under a "
            "new name."
        )
    both = {split: store.manifest.split(split) + other.manifest.split(split) for split in SPLITS}
    manifest = dataclasses.replace(store.manifest, **both)
    return TokenStore(store.path, manifest, store.elsewhere | dict.fromkeys(names, other.path))


def verify(store: TokenStore, report: Report) -> None:
    """Reads every byte of the store again; ValueError if one is not what was written."""
    files = store.manifest.files
    advance = track(report, title="verify", unit="MB", total=sum(files.values()) / 1e6)
    model = places.read_bytes(places.join(store.path, TOKENIZER))
    if hashlib.sha256(model).hexdigest() != store.manifest.tokenizer_sha256:
        raise ValueError(f"{store.path}: {TOKENIZER} is not the one of {NAME}: prepare it again.")
    advance(len(model) / 1e6)
    for split in SPLITS:
        for info in store.manifest.split(split):
            if hash_domain(store.path, split, info.name) != info.sha256:
                raise ValueError(
                    f"{store.path}: {split}/{info.name} is not what was written, its sha256 "
                    "differs from the manifest's: prepare the store again."
                )
            own = (size for file, size in files.items() if file.startswith(f"{split}/{info.name}/"))
            advance(sum(own) / 1e6)


def hash_domain(path: str, split: Split, domain: str) -> str:
    """The sha256 of the sha256s of a domain's arrays, read from the store."""
    folders = [places.join(path, split, domain, name) for name in ARRAYS]
    try:
        digests = [arrays.hash_array(arrays.open_array(folder)) for folder in folders]
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
