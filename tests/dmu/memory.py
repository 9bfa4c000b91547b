"""A token store in memory, with the methods of `dmu.store.TokenStore` that a stream uses."""

import dataclasses
import functools
import json

import numpy as np

from aquila_jax.dmu import arrays, manifest, places
from aquila_jax.dmu.manifest import DomainInfo, Manifest


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryStore:
    documents: dict[str, list[np.ndarray]]

    @property
    def domains(self):
        return tuple(self.documents)

    @functools.cached_property
    def lines(self):
        empty = [np.zeros(0, np.int64)]
        return [np.concatenate([*empty, *some]) for some in self.documents.values()]

    def offsets(self, split, domain):
        assert split == "train"
        return np.cumsum([0, *map(len, self.documents[domain])])

    def gather(self, split, domains, starts, *, length):
        assert split == "train"
        out = np.zeros((len(starts), length), np.int32)
        for row, (domain, start) in enumerate(zip(domains, starts, strict=True)):
            line = self.lines[domain]
            assert 0 <= start <= len(line)
            span = line[start : start + length]
            out[row, : len(span)] = span
        return out

    def provenance(self, split, domain, index):
        assert split == "train"
        return {"id": f"{domain}-{index}"}


def random_store(sizes, *, seed=0, longest=60):
    """Domains of `sizes` documents of 0 to `longest` tokens; each token occurs once."""
    rng = np.random.default_rng(seed)
    documents, token = {}, 1
    for name, count in sizes.items():
        lengths = rng.integers(0, longest, count)
        ends = token + np.cumsum(lengths)
        documents[name] = [np.arange(e - n, e) for e, n in zip(ends, lengths, strict=True)]
        token = int(ends[-1])
    return MemoryStore(documents)


def write_store(store: MemoryStore, folder: str) -> None:
    """Writes the same documents as a real token store."""
    infos = []
    for name, line in zip(store.domains, store.lines, strict=True):
        texts = [json.dumps(store.provenance("train", name, n)) for n in range(len(line))]
        ends = np.cumsum([0, *map(len, texts[: len(store.documents[name])])])
        text = np.frombuffer("".join(texts).encode(), np.uint8)[: ends[-1]]
        parts = {
            "tokens": line.astype(np.uint16),
            "offsets": store.offsets("train", name),
            "provenance": text,
            "provenance_offsets": ends,
        }
        for kind, part in parts.items():
            path = f"{folder}/train/{name}/{kind}"
            arrays.write_array(path, part.dtype.name, len(part), [part])
        counts = dict(documents=len(store.documents[name]), tokens=len(line))
        infos.append(
            DomainInfo(name=name, language="en", bytes=1, characters=1, sha256="", **counts)
        )
    made = Manifest(
        version=manifest.VERSION,
        inputs="",
        tokenizer_sha256="",
        vocab_size=1 << 16,
        train=tuple(infos),
        heldout=(),
        sources=(),
        files=places.sizes(folder),
    )
    manifest.write_manifest(folder, made)
