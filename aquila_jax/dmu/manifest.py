"""The manifest of a token store: what is in it, from where, and how to know it is whole."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

from aquila_jax.dmu import places

VERSION = 2
NAME = "manifest.json"
Split = Literal["train", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "heldout")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DomainInfo:
    """One domain of one split. Bytes (UTF-8) and characters are the text's."""

    name: str
    language: str
    documents: int
    tokens: int  # [CLS] and </s> of every document included
    bytes: int
    characters: int
    sha256: str  # of the sha256s of its arrays


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceReport:
    """What came out of one source, and what did not."""

    name: str
    split: Split
    language: str
    files: int
    documents: int  # that went into the store
    cleaned: int  # that the cleaning took out
    flaws: int  # places without a readable document
    first_flaws: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything about a store. A domain's id is its index in `train`."""

    version: int
    inputs: str  # fingerprint of the sources' bytes and of all settings that shape the store
    tokenizer_sha256: str
    vocab_size: int
    train: tuple[DomainInfo, ...]
    heldout: tuple[DomainInfo, ...]
    sources: tuple[SourceReport, ...]
    files: dict[str, int]  # bytes of every file of the store but this one
    cleaning: dict[str, Any] | None = None  # its account: what came in, what each filter took out

    def identity(self) -> str:
        """A digest of what is learned from and measured on: the tokenizer and every domain's arrays."""
        domains = [[name, one.name, one.sha256] for name in SPLITS for one in self.split(name)]
        told = json.dumps([self.tokenizer_sha256, domains])
        return hashlib.sha256(told.encode()).hexdigest()

    def split(self, name: Split) -> tuple[DomainInfo, ...]:
        """The domains of "train" or "heldout"."""
        return {"train": self.train, "heldout": self.heldout}[name]


def sizes(domains: Sequence[DomainInfo]) -> dict[str, float]:
    """Counts of all of them together, and tokens of their text alone, without [CLS] and </s>."""
    fields = ("documents", "tokens", "bytes", "characters")
    found = {field: sum(getattr(domain, field) for domain in domains) for field in fields}
    text = found["tokens"] - 2 * found["documents"]
    per = {"tokens_per_byte": text / found["bytes"]}
    return found | per | {"tokens_per_character": text / found["characters"]}


def write_manifest(folder: str, manifest: Manifest) -> None:
    """Declares the store whole: the last thing that is written."""
    text = json.dumps(dataclasses.asdict(manifest), ensure_ascii=False, indent=1)
    places.write_bytes(places.join(folder, NAME), text.encode() + b"\n")


def read_manifest(folder: str) -> Manifest:
    """The store's manifest; ValueError if there is none that can be read."""
    path = places.join(folder, NAME)
    if not places.exists(path):
        raise ValueError(f"{folder} is no whole token store, it has no {NAME}: run prepare.")
    try:
        record = json.loads(places.read_bytes(path))
        if record["version"] != VERSION:
            raise ValueError(f"its version is {record['version']}, this program reads {VERSION}")
        return _from_record(record)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); remove {folder} and run prepare again."
        ) from error


def _from_record(record: dict) -> Manifest:
    domains = {split: tuple(DomainInfo(**domain) for domain in record[split]) for split in SPLITS}
    sources = tuple(
        SourceReport(**source | {"first_flaws": tuple(source["first_flaws"])})
        for source in record["sources"]
    )
    return Manifest(**record | domains | {"sources": sources})
