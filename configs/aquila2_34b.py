"""Aquila2-34B (33.69 B parameters) as published: arXiv 2408.07410, tables 12 and 13, section 3.1.

Run:      BUCKET=gs://MINE python -m aquila_jax train --config=configs/aquila2_34b.py --workdir=gs://MINE/34b
Hardware: v5p-512 (256 chips); others: --config.train.mesh, as `plan` advises
Time:     see docs/results/plan.md
Result:   never run by us: compiled for the pod, see docs/results/plan.md

The domains are those of the report's K6. Its percentages exist only as a picture (figure 5), so
the shares here are those of recipe v3, with papers in the place of literature and the
knowledge forums in that of QA; Chinese to English 1 to 2. The report ramps the batch from 32
sequences over 2 M samples; here it is whole from the start, under the same warm-up.
The documents of $BUCKET/corpus/DOMAIN/ are the user's own.
"""

import os

from ml_collections import ConfigDict

from aquila_jax.ate.optimizer import OptimizerConfig
from aquila_jax.ate.schedules import Schedule
from aquila_jax.config import Config, DataConfig, MentorConfig, TrainConfig, to_config_dict
from aquila_jax.dmu.prepare import PrepareSettings
from aquila_jax.dmu.sources import Source
from aquila_jax.evaluate.suite import EvaluateConfig
from aquila_jax.model.config import AQUILA2

SHARES = {  # percent of the tokens
    "web": 82.0, "code": 4.5, "wiki": 4.5, "textbook": 4.5, "paper": 2.5, "knowledge": 2.0,
}  # fmt: skip
CHINESE = {"web": 1 / 3, "wiki": 1 / 3, "paper": 1 / 3, "knowledge": 1 / 3}  # textbooks: English
BATCH = 1024  # sequences of 4096: 4.19 M tokens


def get_config() -> ConfigDict:
    """2.0 T tokens; the report stopped after 1.87 T."""
    bucket = os.environ.get("BUCKET", "gs://YOUR-BUCKET")
    weights = {"code": SHARES["code"], "textbook_en": SHARES["textbook"]}
    for kind, chinese in CHINESE.items():
        weights[f"{kind}_en"] = (1 - chinese) * SHARES[kind]
        weights[f"{kind}_zh"] = chinese * SHARES[kind]
    sources = tuple(
        Source(
            name=name,
            language="code" if name == "code" else name[-2:],
            paths=(f"{bucket}/corpus/{name}/",),
        )
        for name in sorted(weights)
    )
    config = Config(
        name="aquila2_34b",
        model=AQUILA2["34b"],
        prepare=PrepareSettings(
            sources=sources, vocab_size=AQUILA2["34b"].vocab, tokenizer_bytes=10_000_000_000,
            heldout=0.0001,
        ),
        data=DataConfig(length=4096, weights=weights, store=f"{bucket}/store"),
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
