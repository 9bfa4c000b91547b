"""What the cleaning did: counts, samples, duplicates, leaks, from the files that it left."""

import collections
import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from datatrove import data

from aquila_jax.dmu.clean import documents as docs
from aquila_jax.dmu.clean.settings import Settings, shaping

EXCERPT = 200  # characters of a sample
IDS = 20  # documents that are named of one cluster, or of one evaluation item
DROPPED = ("screen", "poisoned", "exact", "near")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CleaningReport:
    """The account of one cleaning; `to_json` of it is the same for any number of workers."""

    documents_in: int
    documents_out: int
    characters_in: int
    characters_out: int
    empty: int
    unreadable: dict[str, int]  # file -> places that hold no document, though they should
    first_unreadable: tuple[str, ...]
    groups: tuple[dict[str, Any], ...]  # domain, language, source: in, out, dropped by rule
    rules: dict[str, dict[str, Any]]  # rule -> documents, characters, samples
    duplicates: dict[str, Any]  # exact, near, clusters, largest, samples: first ids, their sizes
    leaks: dict[str, list[str]]  # evaluation item -> first documents that held it
    leak_documents: dict[str, int]  # evaluation item -> how many did
    unsearchable: int  # evaluation items too short to be looked for
    masked: dict[str, int]  # kind of personal data -> items
    poisoned: tuple[str, ...]  # files dropped as a whole
    settings: dict[str, Any]

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=1)


def dropped(folder: str) -> Iterator[data.Document]:
    """Every document that was left out, with `rule` and `evidence`, in the order of the rules."""
    for part in DROPPED:
        for document in _shards(pathlib.Path(folder) / "dropped" / part):
            document.metadata.setdefault("rule", f"duplicate_{part}")
            document.metadata.setdefault("evidence", "")
            yield document


def kept(folder: str) -> Iterator[data.Document]:
    """Every document that stayed, domain by domain."""
    for place in sorted(pathlib.Path(folder, "clean").glob("*")):
        yield from _shards(place)


def _shards(place: pathlib.Path) -> Iterator[data.Document]:
    for file in sorted(place.glob("*.jsonl.zst")):
        yield from docs.reader(None, int(file.name[:5]), 0, folder=str(place))


def make(folder: str, manifest: dict[str, Any], settings: Settings, **found: Any) -> CleaningReport:
    """Reads what was dropped and kept once; memory grows with the groups, not the documents."""
    groups = {tuple(row[:3]): _group(row) for row in manifest["inputs"]}
    rules: dict[str, dict[str, Any]] = {}
    clusters: dict[int, list[str]] = {}
    sizes: collections.Counter[int] = collections.Counter()
    hit: dict[str, list[str]] = {}
    hits: collections.Counter[str] = collections.Counter()
    if manifest["empty"]:
        rules["empty"] = {"documents": manifest["empty"], "characters": 0, "samples": []}
    for document in dropped(folder):
        _add_rule(rules, document, settings.samples)
        group = groups[_cell(document)]
        rule = document.metadata["rule"]
        group["dropped"][rule] = group["dropped"].get(rule, 0) + 1
        _add_cluster(clusters, sizes, document, settings.samples)
        _add_leaks(hit, hits, document)
    masked: collections.Counter[str] = collections.Counter()
    characters = 0
    for document in kept(folder):
        groups[_cell(document)]["out"] += 1
        characters += len(document.text)
        masked.update(document.metadata.get("masked", {}))
        _add_cluster(clusters, sizes, document, 0)
    rows = [row for _, row in sorted(groups.items())]
    count = collections.Counter({rule: row["documents"] for rule, row in rules.items()})
    return CleaningReport(
        documents_in=sum(row["in"] for row in rows) + manifest["empty"],
        documents_out=sum(row["out"] for row in rows),
        characters_in=sum(row[4] for row in manifest["inputs"]),
        characters_out=characters,
        empty=manifest["empty"],
        unreadable=manifest["unreadable"],
        first_unreadable=tuple(manifest["first_unreadable"]),
        groups=tuple(rows),
        rules=dict(sorted(rules.items())),
        duplicates={
            "exact": count["duplicate_exact"],
            "near": count["duplicate_near"],
            "clusters": len(sizes),
            "largest": max(sizes.values(), default=0),
            "samples": list(clusters.values()),
            "sizes": [sizes[cluster] for cluster in clusters],
        },
        leaks=dict(sorted(hit.items())),
        leak_documents=dict(sorted(hits.items())),
        masked=dict(sorted(masked.items())),
        settings=shaping(settings),
        **found,
    )


def _group(row: list[Any]) -> dict[str, Any]:
    names = dict(zip(("domain", "language", "source", "in"), row, strict=False))
    return {**names, "out": 0, "dropped": {}}


def _cell(document: data.Document) -> tuple[str, str, str]:
    return tuple(document.metadata["given"])


def _add_rule(rules: dict[str, dict[str, Any]], document: data.Document, samples: int) -> None:
    row = rules.setdefault(
        document.metadata["rule"], {"documents": 0, "characters": 0, "samples": []}
    )
    row["documents"] += 1
    row["characters"] += len(document.text)
    if len(row["samples"]) < samples:
        row["samples"].append(
            {
                "id": document.id,
                "source": document.metadata["source"],
                "evidence": document.metadata["evidence"],
                "text": document.text[:EXCERPT],
            }
        )


def _add_leaks(
    hit: dict[str, list[str]], hits: collections.Counter, document: data.Document
) -> None:
    for item in document.metadata.get("items", ()):
        hits[item] += 1
        if hits[item] <= IDS:
            hit.setdefault(item, []).append(document.id)


def _add_cluster(
    clusters: dict[int, list[str]], sizes: collections.Counter, document: data.Document, new: int
) -> None:
    """Counts a member; the first ids of the first `new` clusters are remembered."""
    cluster = document.metadata.get("minhash_cluster_id", -1)
    if cluster < 0:
        return
    sizes[cluster] += 1
    if cluster in clusters or len(clusters) < new:
        ids = clusters.setdefault(cluster, [])
        ids += [document.id] if len(ids) < IDS else []
