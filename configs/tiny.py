"""A small Aquila2 on bilingual text that the project generates itself.

Run:      ./launch/local.sh
Hardware: any computer with 2 cores
Time:     about 3 minutes of training
Result:   see docs/results.md
"""

from ml_collections import ConfigDict

from aquila_jax.ate.optimizer import OptimizerConfig
from aquila_jax.ate.schedules import Schedule
from aquila_jax.ate.situation import MentorConfig
from aquila_jax.config import Config, DataConfig, TrainConfig, to_config_dict
from aquila_jax.dmu.prepare import PrepareSettings
from aquila_jax.dmu.sample import DOMAINS
from aquila_jax.dmu.sources import Source
from aquila_jax.evaluate.suite import EvaluateConfig
from aquila_jax.model.config import ModelConfig

VOCABULARY = 2048
BATCH = 16


def get_config() -> ConfigDict:
    """1.3 million parameters, 1.6 million tokens."""
    sources = tuple(
        Source(
            name=domain.name,
            language=domain.language,
            paths=(f"{{workdir}}/sample/{domain.name}/{files}",),
            split=split,
        )
        for domain in DOMAINS
        for split, files in (("train", "train-*.jsonl"), ("heldout", "heldout.jsonl"))
    )
    config = Config(
        name="tiny",
        model=ModelConfig(
            vocab=VOCABULARY, layers=4, embed=128, ffn=384, heads=4, kv_heads=2, head_dim=32,
            compute_dtype="float32", remat="none", qk_norm=True, unroll=4, loss_chunks=3,
        ),
        prepare=PrepareSettings(sources=sources, vocab_size=VOCABULARY),
        data=DataConfig(length=128, sample_megabytes=5.0),
        optimizer=OptimizerConfig(),
        schedule=Schedule(kind="wsd", peak=4e-3, warmup=50 * BATCH, total=800 * BATCH),
        train=TrainConfig(batch=BATCH, evaluate_every=400, checkpoint_every=100),
        evaluate=EvaluateConfig(questions=("{workdir}/sample/questions.jsonl",)),
        mentor=MentorConfig(mode="shadow"),
    )  # fmt: skip
    return to_config_dict(config)
