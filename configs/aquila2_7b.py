"""Aquila2-7B (7.296 B parameters) as published: arXiv 2408.07410, tables 1 and 12, section 7.6.

Run:      BUCKET=gs://MINE python -m aquila_jax train --config=configs/aquila2_7b.py --workdir=gs://MINE/7b
Hardware: v5p-128 (64 chips); others: --config.train.mesh, as `plan` advises
Time:     see docs/results/plan.md
Result:   never run by us: compiled for the pod, see docs/results/plan.md

The shares of the domains are those of the report's recipe v3, for about 1000 B tokens; then comes
knowledge, k1 to k5 in the report. k1 to k3 were knowledge only and made the loss unstable, k4 and
k5 mixed web back in: so does the phase here, gradually. Its shares, and how each domain is divided
between the languages, are ours: Chinese to English 1 to 2, the range that the report found best.
The documents of $BUCKET/corpus/DOMAIN/ are the user's own.
"""

import os

from ml_collections import ConfigDict

from aquila_jax.ate.optimizer import OptimizerConfig
from aquila_jax.ate.schedules import Schedule
from aquila_jax.config import Config, DataConfig, MentorConfig, TrainConfig, to_config_dict
from aquila_jax.dmu.prepare import PrepareSettings
from aquila_jax.dmu.recipe import Phase
from aquila_jax.dmu.sources import Source
from aquila_jax.evaluate.suite import EvaluateConfig
from aquila_jax.model.config import AQUILA2

PHASES = {  # percent of the tokens
    "v3": {"web": 82.0, "code": 4.5, "encyclopedia": 4.5, "textbook": 4.5, "literature": 2.5, "qa": 2.0},
    "knowledge": {"web": 50.0, "code": 10.0, "encyclopedia": 12.0, "textbook": 12.0, "literature": 6.0, "qa": 10.0},
}  # fmt: skip
TOKENS = {"v3": 0.0, "knowledge": 1000e9}  # read before each begins
SPAN = 40e9  # tokens over which the mixture changes
ENGLISH = 2 / 3  # of what is not code
BATCH = 1728  # sequences of 2048: 3.54 M tokens


def get_config() -> ConfigDict:
    """2.05 T tokens; the report's first stage ends after about 1 T of them."""
    bucket = os.environ.get("BUCKET", "gs://YOUR-BUCKET")
    phases = tuple(
        Phase(name=name, weights=by_language(shares), tokens=TOKENS[name], span=SPAN)
        for name, shares in PHASES.items()
    )
    sources = tuple(
        Source(
            name=name,
            language="code" if name == "code" else name[-2:],
            paths=(f"{bucket}/corpus/{name}/",),
        )
        for name in sorted(phases[0].weights)
    )
    config = Config(
        name="aquila2_7b",
        model=AQUILA2["7b"],
        prepare=PrepareSettings(
            sources=sources, vocab_size=AQUILA2["7b"].vocab, tokenizer_bytes=10_000_000_000,
            heldout=0.0001,
        ),
        data=DataConfig(length=2048, phases=phases, store=f"{bucket}/store"),
        optimizer=OptimizerConfig(),
        schedule=Schedule(
            kind="cosine", peak=2e-4, floor=0.1, warmup=3_076_172, total=1_002_539_063
        ),
        train=TrainConfig(
            batch=BATCH, accumulate=9, seed=1234, mesh={"fsdp": -1}, heavy_every=100,
            evaluate_every=2000, checkpoint_every=1000, keep_every=2000,
        ),
        evaluate=EvaluateConfig(heldout_tokens=2_000_000, rows=256),
        mentor=MentorConfig(mode="shadow"),
    )  # fmt: skip
    return to_config_dict(config)


def by_language(shares: dict[str, float]) -> dict[str, float]:
    """Domains named by kind and language."""
    weights = {}
    for kind, share in shares.items():
        if kind == "code":
            weights[kind] = share
        else:
            weights |= {f"{kind}_en": ENGLISH * share, f"{kind}_zh": (1 - ENGLISH) * share}
    return weights
