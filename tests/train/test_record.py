import json

import jax
import numpy as np
import pytest

from aquila_jax.core.signals import Control, Signals
from aquila_jax.train import record

LANGUAGES = {"en_a": "en", "zh_a": "zh", "en_b": "en"}


def signals(*, heavy) -> Signals:
    rng = np.random.default_rng(0)
    layer = lambda: rng.random(4, np.float32)  # noqa: E731
    more = {}
    if heavy:
        more = {"activation_rms_N": layer(), "attention_logit_max_N": layer()}
        more |= {
            "output_logit_max": np.float32(9.1),
            "weight_std_PN": rng.random((9, 4), np.float32),
        }
    scalars = dict(zip("abcdefg", rng.random(7, np.float32), strict=True))
    odd = np.float32([[2, -140, 3, 0, 499], [0] * 5, [1, 7, -8, 9, 10]])
    return Signals(
        loss=scalars["a"], domain_nats_M=np.float32([10.1, 0, 7.7]),
        domain_tokens_M=np.float32([5, 0, 3]), log_z_squared=scalars["b"],
        learning_rate=scalars["c"], grad_norm=scalars["d"], micro_grad_square=scalars["e"],
        update_ratio=scalars["f"], update_rms_N=layer(), weight_rms_N=layer(), grad_norm_N=layer(),
        skipped=np.float32(0), token_oddity_MC=odd, **more,
    )  # fmt: skip


@pytest.mark.parametrize("heavy", [False, True])
def test_signals_come_back_bit_for_bit_through_json(heavy):
    before = signals(heavy=heavy)
    line = record.to_line(before, Control(1.0, 2.0), LANGUAGES)
    after = record.to_signals(json.loads(json.dumps(line)), tuple(LANGUAGES))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_languages_are_weighted_by_their_tokens():
    line = record.to_line(signals(heavy=False), Control(1.0, 2.0), LANGUAGES)
    assert line["language_loss"] == {"en": pytest.approx((10.1 + 7.7) / 8)}
    assert set(line["domain_loss"]) == {"en_a", "en_b"}
