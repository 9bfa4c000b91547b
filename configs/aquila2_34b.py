"""Aquila2-34B (33.69 B parameters) as published: arXiv 2408.07410, tables 12 and 13, section 3.1.

Run:      BUCKET=gs://MINE python -m aquila_jax train --config=configs/aquila2_34b.py --workdir=gs://MINE/34b
Hardware: v5p-512 (256 chips); others: --config.train.mesh, as `plan` advises
Time:     see docs/results/plan.md
Result:   never run by us: compiled for the pod, see docs/results/plan.md

The phases are the report's: language (K6), knowledge (K61 to K63, the web's share falls
gradually), target-oriented (K64, with knowledge rewritten as QA pairs), after the tokens that it
gives. Its percentages exist only as a picture (figure 5), so the shares are ours: those of recipe
v3 for K6, with papers in the place of literature and the knowledge forums in that of QA, and from
there less web. Chinese to English 1 to 2. The report ramps the batch from 32
sequences over 2 M samples; here it is whole from the start, under the same warm-up.
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
    "language": {"web": 82.0, "code": 4.5, "wiki": 4.5, "textbook": 4.5, "paper": 2.5, "knowledge": 2.0,
                 "instruction": 0.0, "qa": 0.0},
    "knowledge": {"web": 60.0, "code": 7.0, "wiki": 7.0, "textbook": 11.0, "paper": 6.0, "knowledge": 4.0,
                  "instruction": 5.0, "qa": 0.0},
    "target": {"web": 45.0, "code": 10.0, "wiki": 8.0, "textbook": 12.0, "paper": 6.0, "knowledge": 4.0,
               "instruction": 7.0, "qa": 8.0},
}  # fmt: skip
TOKENS = {"language": 0.0, "knowledge": 523e9, "target": 1576e9}  # read before each begins
SPAN = 40e9  # tokens over which a mixture changes
ONE_LANGUAGE = {"code": "code", "textbook": "textbook_en"}  # kind -> its only domain
BATCH = 1024  # sequences of 4096: 4.19 M tokens


def get_config() -> ConfigDict:
    """2.0 T tokens; the report stopped after 1.87 T."""
    bucket = os.environ.get("BUCKET", "gs://YOUR-BUCKET")
    sources = tuple(
        Source(
            name=name,
            language="code" if name == "code" else name[-2:],
            paths=(f"{bucket}/corpus/{name}/",),
        )
        for name in sorted(by_language(PHASES["language"]))
    )
    config = Config(
        name="aquila2_34b",
        model=AQUILA2["34b"],
        prepare=PrepareSettings(
            sources=sources, vocab_size=AQUILA2["34b"].vocab, tokenizer_bytes=10_000_000_000,
            heldout=0.0001,
        ),
        data=DataConfig(length=4096, phases=phases(TOKENS, SPAN), store=f"{bucket}/store"),
        optimizer=OptimizerConfig(),
        schedule=Schedule(
            kind="cosine", peak=1.5e-4, floor=0.1, warmup=500_000, total=488_281_250
        ),
        train=TrainConfig(
            batch=BATCH, accumulate=4, seed=42, mesh={"fsdp": -1}, heavy_every=100,
            evaluate_every=1000, checkpoint_every=500, keep_every=1000,
        ),
        evaluate=EvaluateConfig(heldout_tokens=2_000_000, rows=256),
        mentor=MentorConfig(mode="shadow"),
    )  # fmt: skip
    return to_config_dict(config)


def phases(tokens: dict[str, float], span: float) -> tuple[Phase, ...]:
    """The report's recipe, whose phases begin after so many tokens and change over `span`."""
    return tuple(
        Phase(name=name, weights=by_language(shares), tokens=tokens[name], span=span)
        for name, shares in PHASES.items()
    )


def by_language(shares: dict[str, float]) -> dict[str, float]:
    """Domains named by kind and language; one third Chinese, two thirds English."""
    weights = {}
    for kind, share in shares.items():
        if kind in ONE_LANGUAGE:
            weights[ONE_LANGUAGE[kind]] = share
        else:
            weights |= {f"{kind}_en": share * 2 / 3, f"{kind}_zh": share / 3}
    return weights
