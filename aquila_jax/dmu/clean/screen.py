"""What one document alone tells: every rule that needs no other document, in order."""

import collections
import functools
import json
import pathlib
from collections.abc import Iterator

import numpy as np
from datatrove import data

from aquila_jax.dmu.clean import (
    documents as docs,
)
from aquila_jax.dmu.clean import (
    garbled,
    heldout,
    language,
    leaks,
    privacy,
    quality,
    scorer,
    sourcing,
    spool,
    vocabulary,
)
from aquila_jax.dmu.clean.settings import Duplicates, Leaks, Settings
from aquila_jax.dmu.sources import Source

Verdict = tuple[str, str] | None  # rule and evidence
NATURAL = ("en", "zh", "")


@functools.lru_cache(4)
def leak_index(limits: Leaks) -> leaks.Index:
    """Built once in each process."""
    return leaks.build(leaks.read_items(limits.evaluations), limits)


@functools.lru_cache(4)
def heldout_index(sources: tuple[Source, ...], limits: Duplicates) -> heldout.Index:
    """Built once in each process."""
    return heldout.of_sources(sources, limits)


@functools.lru_cache(1)
def _words(folder: str) -> tuple[np.ndarray, int]:
    manifest = json.loads((pathlib.Path(folder) / spool.MANIFEST).read_text())
    return np.load(pathlib.Path(folder) / spool.WORDS), manifest["counted"]


_scorer = functools.lru_cache(1)(scorer.load)


def _blocked(document: data.Document, settings: Settings) -> Verdict:
    source, place = document.metadata["source"], document.metadata["place"]
    if found := sourcing.listed(source, place, settings.blocked):
        return "source_blocked", found
    if settings.allowed and not sourcing.listed(source, place, settings.allowed):
        return "source_not_allowed", source
    return None


def _garbled(document: data.Document, settings: Settings, folder: str) -> Verdict:
    if not settings.garbled:
        return None
    words, counted = _words(folder)

    def novelty(text: str) -> tuple[float, int]:
        if counted < vocabulary.ENOUGH:
            return 0.0, 0
        return vocabulary.novelty(words, text, own=document.metadata["counted"])

    return garbled.verdict(document.text, document.metadata["language"], settings.garbled, novelty)


def _leaked(document: data.Document, settings: Settings) -> Verdict:
    if not settings.leaks or not settings.leaks.evaluations:
        return None
    hits = leaks.find(leak_index(settings.leaks), document.text, settings.leaks)
    if not hits:
        return None
    document.metadata["items"] = [hit.item for hit in hits]
    return "leak", f"{hits[0].item}: {hits[0].excerpt}"


def _held_out(document: data.Document, settings: Settings, sources: tuple[Source, ...]) -> Verdict:
    if not settings.duplicates or not sources:
        return None
    index = heldout_index(sources, settings.duplicates)
    found = heldout.find(index, document.text, settings.duplicates)
    return found and ("held_out", f"{found[0]}, similarity {found[1]:.2f}")


def _foreign(document: data.Document, settings: Settings) -> Verdict:
    """Names the language of a document that comes without, and the script of a Chinese one."""
    declared = document.metadata["language"]
    if declared not in NATURAL:
        return None
    found, share = language.identify(document.text)
    if found and found not in settings.languages and share >= settings.language_share:
        return "language", f"{found} {share:.2f}"
    if not declared:
        if not found or share < settings.language_share:
            return "language", f"{found or 'unknown'} {share:.2f}"
        document.metadata["language"] = found
        document.metadata["domain"] += f"_{found}"
    if settings.traditional == "apart" and document.metadata["language"] == "zh":
        if language.script(document.text) == "Hant":
            document.metadata["domain"] += "_hant"
    return None


def _poor(document: data.Document, settings: Settings) -> Verdict:
    tongue, meta = document.metadata["language"], document.metadata
    if sourcing.listed(meta["source"], meta["place"], settings.curated):
        return None
    rule = None
    if tongue == "en" and settings.english:
        rule = quality.broken_english(document, settings.english)
    elif tongue == "zh" and settings.chinese:
        rule = quality.broken_chinese(document, settings.chinese)
    if not rule and settings.scorer:
        value = scorer.score(_scorer(settings.scorer), document.text)
        return ("score", f"{value:.2f}") if value < settings.score_min else None
    return (rule, "") if rule else None


def verdict(
    document: data.Document, settings: Settings, folder: str, *, sources: tuple[Source, ...] = ()
) -> Verdict:
    """The first rule that a document breaks; language and C4's lines are set on the way.

    `sources`: the held-out ones, of which no copy must be left.
    """
    return (
        _blocked(document, settings)
        or _garbled(document, settings, folder)
        or _leaked(document, settings)
        or _held_out(document, settings, sources)
        or _foreign(document, settings)
        or _poor(document, settings)
    )


def _is_garbage(document: data.Document, rule: str) -> bool:
    """Whether it speaks against its file: in a file of no declared language any may stand."""
    declared = document.metadata["language"]
    return rule.startswith("garbled") or (rule == "language" and declared != "")


def unit(document: data.Document) -> str:
    """The file or site that a document came in, which is trusted or not as a whole."""
    site = sourcing.site(document.metadata["source"])
    return f"{site} {document.metadata['place'].rsplit(':', 1)[0]}"


def step(
    documents: Iterator[data.Document],
    rank: int,
    _world: int,
    *,
    settings: Settings,
    folder: str,
    sources: tuple[Source, ...] = (),
) -> Iterator[data.Document]:
    """A datatrove step: passes the good on, masked, and writes the others with their rule."""
    seen, garbage = collections.Counter(), collections.Counter()
    with docs.writer(f"{folder}/dropped/screen") as dropped:
        for document in documents:
            seen[unit(document)] += 1
            if found := verdict(document, settings, folder, sources=sources):
                garbage[unit(document)] += _is_garbage(document, found[0])
                document.metadata.update(rule=found[0], evidence=found[1])
                dropped.write(document, rank)
                continue
            document.text, masked = privacy.mask(document.text, settings.private)
            if masked:
                document.metadata["masked"] = masked
            yield document
    place = pathlib.Path(folder) / "units" / f"{rank:05d}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps({name: [seen[name], garbage[name]] for name in seen}))


def poisoned(settings: Settings, folder: str) -> tuple[str, ...]:
    """Files and sites so much of which is garbage that the rest is not to be trusted either."""
    seen, garbage = collections.Counter(), collections.Counter()
    for file in sorted((pathlib.Path(folder) / "units").glob("*.json")):
        for name, (all_of, bad) in json.loads(file.read_text()).items():
            seen[name] += all_of
            garbage[name] += bad
    limits = settings.poison
    if not limits:
        return ()
    return tuple(
        name
        for name in sorted(seen)
        if seen[name] >= limits.documents and garbage[name] > limits.share * seen[name]
    )


def trusted(
    documents: Iterator[data.Document],
    rank: int,
    _world: int,
    *,
    without: tuple[str, ...],
    out: str,
) -> Iterator[data.Document]:
    """A datatrove step: leaves out what comes from poisoned files, and writes it to `out`."""
    with docs.writer(out) as dropped:
        for document in documents:
            if unit(document) not in without:
                yield document
                continue
            document.metadata.update(rule="poisoned", evidence=unit(document))
            dropped.write(document, rank)
