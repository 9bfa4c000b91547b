"""Small made-up sources in three languages, and a store made of them."""

import gzip
import json
import random

import pytest

from aquila_jax.dmu.prepare import PrepareSettings, prepare
from aquila_jax.dmu.sources import Source

WORDS = {
    "en": "the cat of a river and it was seen by many old ships near Paris in 1999".split(),
    "zh": "今天 天气 很好 我们 去 北京 看 长城 ， 。 ！ 他说 “ 不错 ”".split(),
    "code": ["def f(x):", "\n    return x", "\n\t", "if a == b:", "  ", "\n\n", "# 注释", "▁"],
}
BLANK = {"en": " ", "zh": "", "code": ""}


def write_documents(path, language: str, *, count: int, seed: int) -> list[str]:
    """`count` documents as gzip JSON Lines without a time stamp; their texts."""
    rng = random.Random(seed)
    texts = [
        BLANK[language].join(rng.choices(WORDS[language], k=rng.randint(20, 300)))
        for _ in range(count)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"text": text, "id": f"{path.name}-{seed}-{index}", "source": "made up"})
        for index, text in enumerate(texts)
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    return texts


@pytest.fixture(scope="session")
def write():
    return write_documents


@pytest.fixture(scope="session")
def made_sources(tmp_path_factory):
    """Three domains; `zh` has a held-out file, of the others a share is held out."""
    folder = tmp_path_factory.mktemp("sources")
    texts = {}
    for seed, (language, files) in enumerate({"en": 2, "zh": 1, "code": 2}.items()):
        texts[language] = []
        for index in range(files):
            place = folder / language / f"train-{index}.jsonl.gz"
            texts[language] += write_documents(place, language, count=40, seed=10 * seed + index)
    write_documents(folder / "zh" / "heldout.jsonl.gz", "zh", count=5, seed=99)
    sources = tuple(
        Source(name=f"{language}_made", language=language, paths=(f"{folder}/{language}/train-*",))
        for language in texts
    )
    held = Source(
        name="zh_made", language="zh", split="heldout", paths=(f"{folder}/zh/heldout.jsonl.gz",)
    )
    return (*sources, held), texts


@pytest.fixture(scope="session")
def made_settings(made_sources):
    sources, _ = made_sources
    return PrepareSettings(
        sources=sources, vocab_size=400, heldout=0.2, tokenizer_bytes=30_000, processes=1
    )


@pytest.fixture(scope="session")
def made_store(made_settings, tmp_path_factory):
    """The folder of a whole store; whoever changes it works on a copy."""
    folder = tmp_path_factory.mktemp("store") / "store"
    prepare(made_settings, str(folder), report=lambda line: None)
    return folder
