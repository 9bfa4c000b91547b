"""Cleaning as a step of `prepare`: raw sources in, cleaned sources and an account out."""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from aquila_jax.dmu import optional, places
from aquila_jax.dmu.clean.settings import Settings, shaping
from aquila_jax.dmu.manifest import Manifest, SourceReport
from aquila_jax.dmu.progress import Report
from aquila_jax.dmu.source_files import FIRST_FLAWS, Reading, SourceFile, by_source, check
from aquila_jax.dmu.sources import Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cleaned:
    """What is left of the sources, and how each was read."""

    sources: tuple[Source, ...]
    readings: tuple[Reading, ...]  # one for each training source, of all its files
    files: dict[str, int]
    stored: dict[str, int]  # source -> documents that stayed
    account: dict[str, Any]

    def check(self, max_flaws: float) -> None:
        """ValueError for a source that is empty, or unreadable in too many places, or all gone."""
        check(self.readings, max_flaws)
        for name, count in self.stored.items():
            if not count:
                raise ValueError(
                    f"source {name} (train): no document is left to train on; the cleaning took "
                    "them all: loosen prepare.clean, or name the source in prepare.clean.curated."
                )

    def told(self, manifest: Manifest) -> Manifest:
        """The manifest with the account, and the sources as they came and not as they were left."""
        raw = tuple(
            SourceReport(
                name=reading.source.name,
                split="train",
                language=reading.source.language,
                files=self.files[reading.source.name],
                documents=self.stored[reading.source.name],
                cleaned=reading.documents - self.stored[reading.source.name],
                flaws=reading.flaws,
                first_flaws=reading.first_flaws,
            )
            for reading in self.readings
        )
        held = tuple(source for source in manifest.sources if source.split == "heldout")
        return dataclasses.replace(manifest, sources=(*raw, *held), cleaning=self.account)


def clean(
    settings: Settings,
    sources: tuple[Source, ...],
    files: Sequence[SourceFile],
    *,
    key: str,
    report: Report,
    processes: int,
) -> Cleaned:
    """Cleans the training sources, or takes up where that stopped; `key` tells inputs apart."""
    if not places.is_local(places.filesystem(settings.folder)[0]):
        raise ValueError(
            f"prepare.clean.folder={settings.folder} must be a folder of this machine, or one that "
            "all workers share."
        )
    pipeline = optional.load("aquila_jax.dmu.clean.pipeline", "prepare.clean")
    folder = _folder(settings, key)
    left, made = pipeline.clean_sources(
        sources, settings, folder, workers=processes, tell=report, key=key
    )
    account = dataclasses.asdict(made)
    report(f"cleaning: {made.documents_out:,} of {made.documents_in:,} documents stay")
    raw = by_source([_unread(file) for file in files if file.split == "train"])
    counts = {name: [group[0].source, len(group)] for (name, _), group in raw.items()}
    return Cleaned(
        sources=left,
        readings=tuple(_reading(source, files, account) for source, _ in counts.values()),
        files={name: count for name, (_, count) in counts.items()},
        stored={name: _sum(account, name, "out") for name in counts},
        account=account,
    )


def forget(settings: Settings, key: str) -> None:
    """Removes the work of `clean` with that key, and the folder it lay in, if that is empty."""
    places.remove(_folder(settings, key))
    with contextlib.suppress(OSError):
        os.rmdir(places.absolute(settings.folder))


def _folder(settings: Settings, key: str) -> str:
    return places.join(settings.folder, key[:16])


def fingerprint(settings: Settings) -> list[Any]:
    """All that decides what the cleaning leaves, but the documents and where files lie."""
    read = (*(settings.leaks.evaluations if settings.leaks else ()), settings.scorer)
    digests = [hashlib.sha256(places.read_bytes(file)).hexdigest() for file in read if file]
    values = shaping(settings) | {"scorer": bool(settings.scorer)}
    if settings.leaks:
        values["leaks"] |= {"evaluations": len(settings.leaks.evaluations)}
    return [values, digests]


def _reading(source: SourceFile, files: Sequence[SourceFile], account: dict) -> Reading:
    """How all files of one source were read, as if they were one."""
    own = {file.file for file in files if (file.name, file.split) == (source.name, "train")}
    flaws = {file: count for file, count in account["unreadable"].items() if file in own}
    first = account["first_unreadable"]
    return Reading(
        source=source,
        documents=_sum(account, source.name, "in"),
        flaws=sum(flaws.values()),
        first_flaws=tuple(
            place for place in first if place.startswith(tuple(f"{file}:" for file in own))
        )[:FIRST_FLAWS],
    )


def _unread(file: SourceFile) -> Reading:
    return Reading(source=file, documents=0, flaws=0, first_flaws=())


def _sum(account: dict, name: str, what: str) -> int:
    return sum(row[what] for row in account["groups"] if row["domain"] == name)
