"""Aquila2-70B-Expr (70.09 B parameters) as published: arXiv 2408.07410, tables 12 and 13.

Run:      BUCKET=gs://MINE python -m aquila_jax train --config=configs/aquila2_70b.py --workdir=gs://MINE/70b
Hardware: v5p-512 (256 chips); others: --config.train.mesh, as `plan` advises
Time:     see docs/results/plan.md
Result:   never run by us: compiled for the pod, see docs/results/plan.md

Domains, phases and their shares as in aquila2_34b.py, after the tokens that the report gives: K6,
K61 to K63, and K65, which is milder than K64, as "drastic changes in data proportions adversely
affected the performance" of a model that had seen few tokens: here, a change that takes longer. The published batch, 1056 sequences, suits 24
data-parallel groups of GPUs; it does not divide by 256 chips, so here it is 1024. The report
ramps it from 48 sequences over 2 M samples; here it is whole from the start.
"""

from ml_collections import ConfigDict

from aquila_jax.config import to_config_dict
from aquila_jax.model.config import AQUILA2
from configs import aquila2_34b

TOKENS = {"language": 0.0, "knowledge": 203e9, "target": 922e9}  # read before each begins
SPAN = 80e9  # tokens over which a mixture changes
BATCH = 1024  # sequences of 4096: 4.19 M tokens


def get_config() -> ConfigDict:
    """2.0 T tokens; the report stopped after 1.27 T."""
    config = aquila2_34b.get_config()
    config.name = "aquila2_70b"
    config.model = to_config_dict(AQUILA2["70b"])
    config.train.batch = BATCH
    phases = aquila2_34b.phases(TOKENS, SPAN)
    config.data.phases = [to_config_dict(phase).to_dict() for phase in phases]
    return config
