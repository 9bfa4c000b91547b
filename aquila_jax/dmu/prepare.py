"""Documents to tokenizer and token store, in parallel, restartable where it stopped."""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Sequence

from aquila_jax.dmu import cleaning, places
from aquila_jax.dmu import manifest as manifests
from aquila_jax.dmu.clean.settings import Settings as Cleaning
from aquila_jax.dmu.manifest import SPLITS, Manifest
from aquila_jax.dmu.merge import merge_domain
from aquila_jax.dmu.parts import Part, make_part
from aquila_jax.dmu.progress import Report
from aquila_jax.dmu.source_files import SourceFile, check, for_each, left_out, list_files
from aquila_jax.dmu.sources import Source
from aquila_jax.dmu.store import TOKENIZER, open_store
from aquila_jax.dmu.summary import source_reports, summarise
from aquila_jax.dmu.tokenizer import load_tokenizer, require_room, train_tokenizer
from aquila_jax.dmu.training_text import gather_text

_PARTS = "parts"  # within the store's folder until the store is whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """What shapes a store, and how to make it."""

    sources: tuple[Source, ...]
    vocab_size: int = 16384
    tokenizer: str | None = None  # the file of one that exists, instead of training one
    tokenizer_bytes: int = 32_000_000  # text to train it on, equal parts of each language
    heldout: float = 0.01  # share of documents, in domains without a held-out source
    max_flaws: float = 0.01  # share of a source's documents that may be unreadable
    processes: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    clean: Cleaning | None = None  # None: documents go in as they are

    def __post_init__(self):
        languages = {}
        for source in self.sources:
            if languages.setdefault(source.name, source.language) != source.language:
                raise ValueError(f"source {source.name} must have one language in all its splits.")
            if not source.language and (self.clean is None or source.split == "heldout"):
                raise ValueError(
                    f"source {source.name} ({source.split}) names no language; name one, or let "
                    "prepare.clean tell the languages of a training source apart."
                )
        if not any(source.split == "train" for source in self.sources):
            raise ValueError("sources must hold at least one with split='train'.")
        for name in ("heldout", "max_flaws"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be a share in [0, 1).")
        if self.processes < 1 or self.tokenizer_bytes < 1:
            raise ValueError(
                f"processes={self.processes} and tokenizer_bytes={self.tokenizer_bytes} must be "
                "at least 1."
            )
        if self.tokenizer is None:
            require_room(self.vocab_size)


def prepare(settings: PrepareSettings, folder: str, report: Report = print) -> Manifest:
    """Makes the token store in `folder`, or takes up where it stopped; its manifest."""
    places.require_folder(folder)
    with _alone(folder):
        return _prepare(settings, folder, report)


def _prepare(settings: PrepareSettings, folder: str, report: Report) -> Manifest:
    files = list_files(settings.sources, settings.heldout)
    _require_apart(files, folder)
    report(f"prepare: {len(files)} files of {len(settings.sources)} sources")
    for line in left_out(settings.sources):
        report(line)
    inputs = _fingerprint(settings, files)
    if places.exists(places.join(folder, manifests.NAME)):
        return _made_before(settings, folder, inputs=inputs, report=report)
    cleaned = None
    if settings.clean:
        cleaned = cleaning.clean(
            settings.clean,
            settings.sources,
            files,
            key=inputs,
            report=report,
            processes=settings.processes,
        )
        cleaned.check(settings.max_flaws)
        files = list_files(cleaned.sources, settings.heldout)
    kept = places.join(folder, _PARTS)
    if settings.tokenizer:
        tokenizer = _require_size(settings.tokenizer, settings.vocab_size)
    else:
        tokenizer = places.join(kept, f"{inputs}.model")
        if not places.exists(tokenizer):
            _train(settings, files, tokenizer, report=report)
    work = functools.partial(make_part, folder=kept, tokenizer=tokenizer)
    made = for_each(work, files, processes=settings.processes, title="tokenise", report=report)
    parts = [part for _, part in sorted(made, key=lambda pair: pair[0])]
    check([part.reading for part in parts], settings.max_flaws)
    report(f"prepare: joining {len(parts)} parts")
    manifest = _merge(folder, parts, tokenizer=tokenizer, inputs=inputs)
    if cleaned:
        manifest = cleaned.told(manifest)
    manifests.write_manifest(folder, manifest)
    _forget(settings, folder, inputs)
    for line in summarise(manifest, settings.heldout):
        report(line)
    return manifest


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Keeps a second prepare on this machine out of the folder; ValueError for that one."""
    fs, root = places.filesystem(folder)
    if not places.is_local(fs):
        yield
        return
    os.makedirs(root, exist_ok=True)
    owner = os.open(root, os.O_RDONLY)  # the folder itself: nothing is left in it
    try:
        _lock(owner, folder)
        yield
    finally:
        os.close(owner)


def _lock(owner: int, folder: str) -> None:
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ValueError(
            f"another prepare is at work in {folder}; wait for it or name another folder."
        ) from error


def _fingerprint(settings: PrepareSettings, files: list[SourceFile]) -> str:
    """Of all that shapes the store but the place where the files lie."""
    known = [dataclasses.asdict(file) | {"file": None} for file in files]
    trained = [settings.vocab_size, settings.tokenizer_bytes]
    given = settings.tokenizer and load_tokenizer(settings.tokenizer).sha256
    clean = cleaning.fingerprint(settings.clean) if settings.clean else ""
    key = json.dumps([manifests.VERSION, known, given or trained, clean], sort_keys=True)
    return hashlib.sha256(key.encode()).hexdigest()


def _made_before(
    settings: PrepareSettings, folder: str, *, inputs: str, report: Report
) -> Manifest:
    made = manifests.read_manifest(folder)
    if made.inputs != inputs:
        raise ValueError(
            f"{folder} holds a token store of other documents or settings; prepare into another "
            "folder, or remove that one first."
        )
    # If the run before was stopped right at its end.
    _forget(settings, folder, inputs)
    open_store(folder)  # whose sizes are looked at
    report(f"prepare: {folder} is whole already")
    return made


def _require_apart(files: Sequence[SourceFile], folder: str) -> None:
    """Folders that are cleared on the way to a store hold no source."""
    own = [places.join(places.absolute(folder), name, "") for name in (*SPLITS, _PARTS)]
    for file in files:
        if places.absolute(file.file).startswith(tuple(own)):
            raise ValueError(
                f"source {file.name}: {file.file} lies where prepare writes the token store; "
                f"name another folder for the store than {folder}."
            )


def _forget(settings: PrepareSettings, folder: str, inputs: str) -> None:
    """Removes what was only needed on the way to the store."""
    places.remove(places.join(folder, _PARTS))
    if settings.clean:
        cleaning.forget(settings.clean, inputs)


def _require_size(tokenizer: str, vocab_size: int) -> str:
    size = load_tokenizer(tokenizer).vocab_size
    if size != vocab_size:
        raise ValueError(
            f"tokenizer {tokenizer} has {size} entries but vocab_size={vocab_size}: "
            f"set vocab_size={size}."
        )
    return tokenizer


def _train(
    settings: PrepareSettings,
    files: Sequence[SourceFile],
    place: str,
    *,
    report: Report,
) -> None:
    """Trains the tokenizer on a sample of the sources and writes it to `place`."""
    files = [file for file in files if file.split == "train"]
    readings, texts = gather_text(
        files, settings.tokenizer_bytes, processes=settings.processes, report=report
    )
    check(readings, settings.max_flaws)
    size = sum(len(text.encode()) for text in texts) / 1e6
    report(f"tokenizer: training {settings.vocab_size} entries on {size:.1f} MB of text")
    places.write_bytes(place, train_tokenizer(texts, settings.vocab_size))


def _merge(folder: str, parts: Sequence[Part], *, tokenizer: str, inputs: str) -> Manifest:
    """Writes the tokenizer and the arrays of every domain; the manifest is not yet written."""
    loaded = load_tokenizer(tokenizer)
    places.write_bytes(places.join(folder, TOKENIZER), places.read_bytes(tokenizer))
    names = dict.fromkeys(part.reading.source.name for part in parts)
    domains = {split: [] for split in SPLITS}
    for split in SPLITS:
        places.remove(places.join(folder, split))  # what a run that was stopped has left
        for name in names:
            group = [part for part in parts if part.reading.source.name == name]
            if any(part.counts(split).documents for part in group):
                info = merge_domain(folder, split, group, vocab_size=loaded.vocab_size)
                domains[split].append(info)
            elif split == "train" and any(part.reading.source.split == "train" for part in group):
                raise ValueError(f"source {name} (train): no document is left to train on.")
    folders, sizes = tuple(f"{split}/" for split in SPLITS), places.sizes(folder)
    return Manifest(
        version=manifests.VERSION,
        inputs=inputs,
        tokenizer_sha256=loaded.sha256,
        vocab_size=loaded.vocab_size,
        train=tuple(domains["train"]),
        heldout=tuple(domains["heldout"]),
        sources=source_reports(parts),
        files={
            name: size
            for name, size in sizes.items()
            if name == TOKENIZER or name.startswith(folders)
        },
    )
