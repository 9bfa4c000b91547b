"""Cleaning from beginning to end: documents in, documents and an account of the rest out.

Stages, each on datatrove's own steps, each in tasks of one shard, each resumed where it stopped:

    input     the documents, in shards
    screen    rules on one document: source, garbled, leak, copy of a held-out one, language,
              quality; masking
    exact     hashes of whole documents; which of them come again
    minhash   signatures, pairs in one bucket, pairs that are truly similar, clusters
    clean     what is left

Memory holds one shard's signatures, the word table (4 MB), the evaluation and held-out indexes, 16
bytes for each pair of near-duplicates, and 16 KB for each shard, however large the corpus.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from datatrove.pipeline import dedup
from datatrove.pipeline.writers import JsonlWriter

from aquila_jax.core import files
from aquila_jax.dmu.clean import clusters, duplicates, engines, report, screen, spool
from aquila_jax.dmu.clean import documents as docs
from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.clean.report import CleaningReport
from aquila_jax.dmu.clean.settings import Duplicates, Settings, shaping
from aquila_jax.dmu.progress import Report
from aquila_jax.dmu.sources import Flaw, Source

BUFFER = 4096  # signatures of all shards together that are read at a time
BUFFER_LEAST = 128  # of one shard: 7 KB, about what its open file takes anyway
FILES_PER_SHARD = 3  # its signatures, and of exact duplicates their numbers and counts
FILES = 256  # what else a process holds open
Steps = tuple[Callable, ...]


class Cleaned(NamedTuple):
    """What is left, read from the folder as it is asked for, and the account."""

    documents: Iterator[Document]
    report: CleaningReport


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    """Where the stages lie and how they run."""

    folder: str
    shards: int
    engine: engines.Engine
    workers: int
    tell: Report

    def at(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def read(self, name: str) -> functools.partial:
        return functools.partial(docs.reader, folder=self.at(name))

    def dropped(self, name: str) -> JsonlWriter:
        return docs.writer(self.at(f"dropped/{name}"))

    @property
    def buffer(self) -> int:
        """Signatures of one shard read at a time, where those of all are merged."""
        return max(BUFFER // self.shards, BUFFER_LEAST)

    @property
    def allow_files(self) -> functools.partial:
        """What must come before a step that merges the signatures of all shards."""
        return functools.partial(engines.allow_files, files=FILES + FILES_PER_SHARD * self.shards)


def _stage(run: _Run, name: str, *steps: Callable, tasks: int = 0) -> None:
    how = {"engine": run.engine, "workers": run.workers, "report": run.tell}
    engines.run(steps, tasks or run.shards, run.at(f"stages/{name}"), **how)


def clean(
    documents: Iterable[Document | Flaw],
    settings: Settings,
    folder: str,
    *,
    workers: int = 1,
    tell: Report = print,
    key: object = None,
    heldout: tuple[Source, ...] = (),
) -> Cleaned:
    """Cleans documents of any number, by way of `folder`; goes on from there after a stop.

    With the engine "ray", `folder` must be shared with the cluster. `key` is anything of JSON that
    tells this input from another. No copy of a document of `heldout` is left.
    """
    manifest = spool.lay_out(
        documents,
        folder,
        shard_characters=settings.shard_characters,
        key=[key, shaping(settings)],
    )
    how = {"engine": settings.engine, "workers": workers, "tell": tell}
    run = _Run(folder=folder, shards=manifest["shards"], **how)
    judge = functools.partial(screen.step, settings=settings, folder=folder, sources=heldout)
    _stage(run, "screen", run.read("input"), judge, docs.writer(run.at("screened")))
    poisoned = screen.poisoned(settings, folder)
    trusted = functools.partial(screen.trusted, without=poisoned, out=run.at("dropped/poisoned"))
    left = (run.read("screened"), trusted)
    if settings.duplicates:
        left = _without_near(run, _without_exact(run, left), settings.duplicates)
    _stage(run, "clean", *left, _writer(run))
    made = report.make(
        folder, manifest, settings, poisoned=poisoned, unsearchable=_unsearchable(settings)
    )
    # `?` for halves of surrogate pairs, as in names of files.
    files.write(pathlib.Path(folder) / "report.json", made.to_json().encode(errors="replace"))
    return Cleaned(map(docs.from_step, report.kept(folder)), made)


def _without_exact(run: _Run, left: Steps) -> Steps:
    """Finds documents that come again; the steps that leave them out."""
    known, found = run.at("exact"), run.at("exact_found")
    _stage(run, "exact_signature", *left, dedup.ExactDedupSignature(known, duplicates.EXACT))
    find = dedup.ExactFindDedups(known, found, duplicates.EXACT, lines_to_buffer=run.buffer)
    _stage(run, "exact_find", run.allow_files, find, tasks=1)
    return (*left, dedup.ExactDedupFilter(found, duplicates.EXACT, run.dropped("exact")))


def _without_near(run: _Run, left: Steps, limits: Duplicates) -> Steps:
    """Finds documents much like an earlier one; the steps that leave them out."""
    config = duplicates.minhash_config(limits)
    sketches = functools.partial(
        duplicates.write_sketches, folder=run.at("sketches"), ngram=limits.ngram
    )
    signature = duplicates.Signature(run.at("signatures"), config)
    _stage(run, "signature", *left, sketches, signature)
    pair = dedup.MinhashDedupBuckets(
        run.at("signatures"), run.at("pairs"), config=config, lines_to_buffer=run.buffer
    )
    _stage(run, "buckets", run.allow_files, pair, tasks=limits.buckets)
    join = functools.partial(
        clusters.step,
        pairs=run.at("pairs"),
        sketches=run.at("sketches"),
        out=run.at("clusters"),
        shards=run.shards,
        least=limits.jaccard,
    )
    _stage(run, "clusters", join, tasks=1)
    known = run.at("clusters")
    return (*left, dedup.MinhashDedupFilter(known, run.dropped("near"), load_cluster_ids=True))


def _writer(run: _Run) -> JsonlWriter:
    return JsonlWriter(
        run.at("clean"),
        output_filename="${domain}/${rank}.jsonl",
        compression="zstd",
        expand_metadata=True,
    )


def _unsearchable(settings: Settings) -> int:
    if not settings.leaks or not settings.leaks.evaluations:
        return 0
    return len(screen.leak_index(settings.leaks).unsearchable)


def clean_sources(
    sources: tuple[Source, ...], settings: Settings, folder: str, **how
) -> tuple[tuple[Source, ...], CleaningReport]:
    """The sources with what is left of their training documents, for `prepare`, and the account.

    Held-out sources pass untouched, since what is measured on must not change with the cleaning;
    what is a copy of them in training text goes.
    """
    training = tuple(source for source in sources if source.split == "train")
    heldout = tuple(source for source in sources if source.split != "train")
    key = [dataclasses.asdict(source) for source in sources]
    how = {"key": key, "heldout": heldout} | how
    made = clean(docs.from_sources(training), settings, folder, **how).report
    languages = _domains(training, settings)
    folders = {name: pathlib.Path(folder, "clean", name) for name in languages}
    left = [
        Source(name=name, language=languages[name], paths=(str(place),), place_field="place")
        for name, place in folders.items()
        if place.is_dir()
    ]
    return (*left, *heldout), made


def _domains(sources: tuple[Source, ...], settings: Settings) -> dict[str, str]:
    """The language of every domain that can come out of the sources, in their order."""
    named = {}
    for source in sources:
        own = {source.name: source.language}
        if not source.language:
            own = {f"{source.name}_{tongue}": tongue for tongue in settings.languages}
        for name, tongue in own.items():
            named |= {name: tongue, f"{name}_hant": tongue}
    return named
