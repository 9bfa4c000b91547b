"""A bilingual corpus of true facts, generated: the same bytes for the same seed.

So that a fresh clone can train at once, with questions whose answers can be learned from it.
"""

import functools
import json
import os
import pathlib
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from aquila_jax.dmu import (
    sample_articles,
    sample_pairs,
    sample_programs,
    sample_questions,
    sample_stories,
    sample_sums,
)
from aquila_jax.dmu.sample_articles import EN, SPACE, ZH


class Domain(NamedTuple):
    """How one domain is written, and its share of the corpus by bytes."""

    name: str
    language: str
    share: float
    compose: Callable[[random.Random, int], str]  # of a source of chance and the corpus' seed


def story(draw: random.Random, seed: int, *, language: int) -> str:
    """A story in one language; its text owes nothing to the seed but chance."""
    del seed
    return SPACE[language].join(pair[language] for pair in sample_stories.compose(draw))


def facts(draw: random.Random, seed: int, *, language: int) -> str:
    """A document of facts in one language."""
    return sample_articles.compose(draw, language, seed=seed)


def sums(draw: random.Random, seed: int, *, language: int) -> str:
    """A document of arithmetic in one language."""
    return sample_sums.compose(draw, language, seed=seed)


DOMAINS = (
    Domain("en_facts", "en", 0.27, functools.partial(facts, language=EN)),
    Domain("zh_facts", "zh", 0.27, functools.partial(facts, language=ZH)),
    Domain("en_stories", "en", 0.08, functools.partial(story, language=EN)),
    Domain("zh_stories", "zh", 0.08, functools.partial(story, language=ZH)),
    Domain("en_math", "en", 0.07, functools.partial(sums, language=EN)),
    Domain("zh_math", "zh", 0.07, functools.partial(sums, language=ZH)),
    Domain("code", "code", 0.06, lambda draw, seed: sample_programs.compose(draw)),
    Domain("parallel", "en-zh", 0.1, lambda draw, seed: sample_pairs.compose(draw, seed=seed)),
)
NAME = "sample.json"  # what the text was made with
HELD_OUT_EVERY = 40  # one document in so many
SHARD_BYTES = 400_000


def documents(domain: Domain, *, seed: int, size: float) -> Iterator[dict[str, str]]:
    """Documents of a domain, no two alike, until their text has `size` bytes."""
    draw = random.Random(f"{seed}/{domain.name}")
    seen: set[str] = set()
    written = repeated = 0
    while written < size:
        text = domain.compose(draw, seed)
        if text in seen:
            repeated += 1
            if repeated > 1000 + len(seen):
                raise ValueError(
                    f"domain {domain.name} has no more than about {written} bytes of different "
                    f"documents, and {size:.0f} were asked for; ask for fewer megabytes."
                )
            continue
        seen.add(text)
        written += len(text.encode())
        yield {"text": text, "id": f"{domain.name}/{len(seen)}", "lang": domain.language}


def write_lines(path: pathlib.Path, rows: Iterable[dict]) -> None:
    """JSON Lines in UTF-8."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(lines, encoding="utf-8", newline="\n")


def write_domain(folder: pathlib.Path, domain: Domain, *, seed: int, size: float) -> int:
    """Writes the shards of one domain and returns its number of documents."""
    folder.mkdir()
    held_out, shards, filled = [], [[]], 0
    for count, document in enumerate(documents(domain, seed=seed, size=size), start=1):
        if count % HELD_OUT_EVERY == 0:
            held_out.append(document)
            continue
        if filled > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(document)
        filled += len(document["text"].encode())
    for i, shard in enumerate(shards):
        write_lines(folder / f"train-{i:05d}.jsonl", shard)
    write_lines(folder / "heldout.jsonl", held_out)
    return count


def write_sample(
    folder: str | os.PathLike, *, seed: int = 0, megabytes: float = 5.0
) -> dict[str, int]:
    """Writes FOLDER/DOMAIN/{train-*,heldout}.jsonl, FOLDER/questions.jsonl and FOLDER/sample.json.

    Returns the number of documents of each domain and of "questions". The folder appears
    when all is written; one that is there already is a ValueError.
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists already: use it, remove it, or name another folder.")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    counts = {
        domain.name: write_domain(
            partial / domain.name, domain, seed=seed, size=domain.share * megabytes * 1e6
        )
        for domain in DOMAINS
    }
    questions = sample_questions.questions(seed)
    write_lines(partial / "questions.jsonl", questions)
    (partial / NAME).write_text(json.dumps({"seed": seed, "megabytes": megabytes}))
    partial.rename(folder)
    return counts | {"questions": len(questions)}


def require(folder: str | os.PathLike, *, seed: int, megabytes: float) -> None:
    """ValueError where the text in `folder` is not the one that `write_sample` makes of these."""
    file, wanted = pathlib.Path(folder, NAME), {"seed": seed, "megabytes": megabytes}
    made = json.loads(file.read_text()) if file.exists() else None
    if made != wanted:
        raise ValueError(
            f"{folder} holds text of {made or 'another kind'}, not of {wanted}; remove it, or set "
            "data.seed and data.sample_megabytes to what it was made with."
        )
