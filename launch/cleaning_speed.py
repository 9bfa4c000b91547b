"""Speed of each stage of cleaning against datatrove's own recipe, and memory against corpus size."""

import dataclasses
import functools
import gzip
import json
import os
import pathlib
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator

from datatrove.data import Document as StepDocument
from datatrove.pipeline import dedup, filters
from datatrove.pipeline.formatters import PIIFormatter

from aquila_jax.dmu.clean import (
    duplicates,
    garbled,
    heldout,
    language,
    leaks,
    pipeline,
    privacy,
    quality,
    screen,
)
from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.clean.settings import Chinese, Duplicates, English, Settings
from launch import cleaning_troubles as troubles

SAMPLES = {"en": ("en_textbooks", 600_000), "zh": ("zh_modern", 150_000)}  # characters
CODES = {"en": "eng_Latn", "zh": "cmn_Hani"}  # of the languages in datatrove
ENGINES = {
    "one process": {},
    "two processes": {"workers": 2},
    "ray": {"workers": 2, "engine": "ray"},
}
BLOCK = 4  # words; exchanging blocks leaves no 5-gram of a text as it was


def _sample(corpus: pathlib.Path, tongue: str) -> list[str]:
    domain, most = SAMPLES[tongue]
    texts, size = [], 0
    for line in gzip.open(corpus / domain / "train-00000.jsonl.gz", "rt", encoding="utf-8"):
        if size < most:
            texts.append(json.loads(line)["text"])
            size += len(texts[-1])
    return texts


def _rate(work: Callable[[StepDocument], object], texts: list[str]) -> float:
    """MB a second of processor time; the first call, which loads tables, does not count."""
    given = [StepDocument(text=text, id=str(at)) for at, text in enumerate(texts)]
    work(StepDocument(text=texts[0][:400], id="warm"))
    began = time.process_time()
    for document in given:
        work(document)
    return sum(len(text.encode()) for text in texts) / 1e6 / (time.process_time() - began)


def _own_quality(tongue: str) -> Callable[[StepDocument], object]:
    """datatrove's chain with its own word tokenizers, same thresholds where it has them."""
    code = CODES[tongue]
    chain = [
        filters.GopherRepetitionFilter,
        filters.GopherQualityFilter,
        filters.FineWebQualityFilter,
    ]
    steps = [kind(language=code) for kind in chain]
    if tongue == "en":
        steps.insert(2, filters.C4QualityFilter(filter_no_terminal_punct=False, language=code))
    return lambda document: [step.filter(document) for step in steps]


def speed(corpus: pathlib.Path, settings: Settings, work: pathlib.Path) -> dict:
    """MB/s on one core: {language: {stage: {"ours", "datatrove"}}}."""
    index, limits = screen.leak_index(settings.leaks), Duplicates()
    copies = heldout.build(troubles.read(corpus, "heldout.jsonl.gz", 10**9), limits)
    found = {}
    for tongue in SAMPLES:
        texts = _sample(corpus, tongue)
        chain = {"en": quality.english_filters(English()), "zh": quality.chinese_filters(Chinese())}
        mine = duplicates.Signature(str(work / "s"), duplicates.minhash_config(limits))
        theirs = dedup.MinhashDedupSignature(
            str(work / "t"), dedup.MinhashConfig(), language=CODES[tongue]
        )
        hide = PIIFormatter()
        stages = {
            "garbled": (
                lambda d: garbled.verdict(d.text, tongue, settings.garbled, lambda _: (0.0, 0)),
                None,
            ),
            "language": (lambda d: language.identify(d.text), None),
            "leaks": (lambda d: leaks.find(index, d.text, settings.leaks), None),
            "held_out": (lambda d: heldout.find(copies, d.text, limits), None),
            "privacy": (
                lambda d: privacy.mask(d.text, settings.private),
                lambda d: hide.format(d.text),
            ),
            "quality": (lambda d: [rule(d) for rule in chain[tongue]], _own_quality(tongue)),
            "signature": (
                lambda d: mine.get_signature(mine.get_shingles(d.text)),
                lambda d: theirs.get_signature(theirs.get_shingles(d.text)),
            ),
        }
        found[tongue] = {
            name: {"ours": _rate(ours, texts), "datatrove": own and _rate(own, texts)}
            for name, (ours, own) in stages.items()
        }
    return found


def _exchanged(one: Document, copy: int, rng: random.Random) -> Document:
    parts = list(one.text) if one.language == "zh" else one.text.split(" ")
    blocks = [parts[at : at + BLOCK] for at in range(0, len(parts), BLOCK)]
    rng.shuffle(blocks)
    text = ("" if one.language == "zh" else " ").join(part for block in blocks for part in block)
    return dataclasses.replace(one, text=text, id=f"{one.id}|{copy}", source=f"{one.source} {copy}")


def engines(corpus: pathlib.Path, work: pathlib.Path) -> dict:
    """The same corpus by one process, by two, and by Ray with two workers: are they equal?"""
    os.environ.setdefault("RAY_worker_niceness", "0")  # not to wait for all other work
    sound = list(troubles.read(corpus, "train-00001.jsonl.gz", 60_000))
    documents = sound + [dataclasses.replace(one, id=f"{one.id} again") for one in sound[::5]]
    settings = Settings(shard_characters=100_000)
    found, first = {}, None
    for name, how in ENGINES.items():
        began = time.monotonic()
        place = work / name.replace(" ", "_")
        workers, engine = how.get("workers", 1), how.get("engine", "local")
        given = dataclasses.replace(settings, engine=engine)
        cleaned = pipeline.clean(documents, given, str(place), workers=workers, tell=say)
        made = ([(one.id, one.text) for one in cleaned.documents], cleaned.report.to_json())
        first = first or made
        found[name] = {
            "equal": made == first,
            "left": len(made[0]),
            "seconds": time.monotonic() - began,
        }
    shutil.rmtree(work)
    return found


def memory(corpus: pathlib.Path, work: pathlib.Path, copies: int) -> dict:
    """Largest resident memory of this process, MB, after cleaning the corpus and changed copies.

    Without the rules on single documents, which remember nothing: what could grow is the rest.
    """
    settings = Settings(english=None, chinese=None, garbled=None, leaks=None, private=())
    sound = functools.partial(troubles.read, corpus, "train-*.jsonl.gz", 10**9)
    documents = (one for copy in range(copies) for one in _copy(sound(), copy))
    began = time.process_time()
    made = pipeline.clean(documents, settings, str(work), tell=say, key=copies).report
    shutil.rmtree(work)
    return {
        "copies": copies,
        "documents": made.documents_in,
        "characters": made.characters_in,
        "documents_out": made.documents_out,
        "resident_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "processor_seconds": time.process_time() - began,
    }


def _copy(sound: Iterator[Document], copy: int) -> Iterator[Document]:
    rng = random.Random(copy)
    for one in sound:
        yield _exchanged(one, copy, rng) if copy else one


def say(line: str) -> None:
    """Progress, beside the results."""
    print(line, file=sys.stderr, flush=True)
