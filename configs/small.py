"""A 9 M parameter Aquila2 on a folder of real text, ten domains in English and Chinese.

    Run:      ./launch/local.sh configs/small.py runs/small
    Hardware: any computer with 2 cores; one GPU or TPU host just as well
    Time:     prepare 5 minutes, training about 20 minutes on 2 cores
    Result:   see docs/results.md, and data.html in the workdir for the cleaning

The corpus is a folder with one folder a domain, JSON Lines shards named train-* and heldout*:
CORPUS=/path/to/corpus, by default ../shared/corpus. What must not be trained on are the items of
EVALUATIONS=/path/to/items, by default ../shared/evals. It is a curated corpus, so that the rules
for web pages (`english`, `chinese`) are off; for a crawl, leave them out of `clean` below.
"""

import glob
import os

from ml_collections import ConfigDict

from aquila_jax.ate.optimizer import OptimizerConfig
from aquila_jax.ate.schedules import Schedule
from aquila_jax.ate.situation import MentorConfig
from aquila_jax.config import Config, DataConfig, TrainConfig, to_config_dict
from aquila_jax.dmu.clean.settings import Leaks
from aquila_jax.dmu.clean.settings import Settings as Cleaning
from aquila_jax.dmu.prepare import PrepareSettings
from aquila_jax.dmu.sources import Source
from aquila_jax.evaluate.suite import EvaluateConfig
from aquila_jax.model.config import ModelConfig

LANGUAGES = {
    "en_docs": "en", "en_books": "en", "en_textbooks": "en", "zh_docs": "zh", "zh_classics": "zh",
    "zh_modern": "zh", "zh_law": "zh", "code": "code", "math": "math", "parallel": "en-zh",
}  # fmt: skip
VOCABULARY, BATCH = 8192, 16


def get_config() -> ConfigDict:
    """3.1 million tokens, each domain alike (no domain is read more than once)."""
    corpus = os.environ.get("CORPUS", "../shared/corpus")
    sources = tuple(
        Source(name=name, language=language, paths=(f"{corpus}/{name}/{files}",), split=split)
        for name, language in LANGUAGES.items()
        for split, files in (("train", "train-*.jsonl.gz"), ("heldout", "heldout.jsonl.gz"))
    )
    items = sorted(glob.glob(os.environ.get("EVALUATIONS", "../shared/evals") + "/*.jsonl"))
    cleaning = Cleaning(
        english=None, chinese=None, traditional="together", leaks=Leaks(evaluations=tuple(items))
    )
    config = Config(
        name="small",
        model=ModelConfig(
            vocab=VOCABULARY, layers=6, embed=256, ffn=688, heads=8, kv_heads=8, head_dim=32,
            compute_dtype="float32", remat="none", qk_norm=True, unroll=6, loss_chunks=6,
        ),
        prepare=PrepareSettings(sources=sources, vocab_size=VOCABULARY, clean=cleaning),
        data=DataConfig(length=256),
        optimizer=OptimizerConfig(),
        schedule=Schedule(kind="wsd", peak=3e-3, warmup=50 * BATCH, total=750 * BATCH),
        train=TrainConfig(batch=BATCH, evaluate_every=250, checkpoint_every=100),
        evaluate=EvaluateConfig(heldout_tokens=10_000),
        mentor=MentorConfig(mode="shadow"),
    )  # fmt: skip
    return to_config_dict(config)
