import dataclasses
import math

import jax
import pytest
from flax import nnx

from aquila_jax.model.config import AQUILA2, AQUILA_DENSE, ModelConfig, flops_per_token, parameters
from aquila_jax.model.transformer import Transformer

SMALL = ModelConfig(vocab=100, layers=2, embed=16, ffn=24, heads=4, kv_heads=2, head_dim=4)


@pytest.mark.parametrize(
    ("cfg", "billions"),
    [
        (AQUILA2["7b"], 7.296),
        (AQUILA2["34b"], 33.69),
        (AQUILA2["70b"], 70.09),
        (AQUILA_DENSE["1.8b"], 1.84),
        (AQUILA_DENSE["7b"], 8.22),
        (AQUILA_DENSE["16b"], 16.66),
    ],
)
def test_parameters_equal_the_published_counts(cfg, billions):
    digits = len(str(billions).partition(".")[2])
    assert round(parameters(cfg) / 1e9, digits) == billions


@pytest.mark.parametrize("options", [{}, {"qkv_bias": True}, {"qk_norm": True}])
def test_parameters_counts_every_array_but_the_padding(mesh, options):
    cfg = dataclasses.replace(SMALL, **options)
    model = jax.eval_shape(lambda: Transformer(cfg, nnx.Rngs(0)))
    held = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(model))
    assert held - parameters(cfg) == 2 * (128 - 100) * cfg.embed


def test_flops_count_multiplications_of_a_hand_made_case():
    attention = 2 * (16 * 16) + 2 * (16 * 8)
    matrices = 2 * (attention + 3 * 16 * 24) + 100 * 16
    scores_and_values = 2 * 2 * (32 / 2) * 16  # two products, two FLOPs, half of 32 keys, H * K
    assert flops_per_token(SMALL, 32) == 6 * matrices + 3 * 2 * scores_and_values


def test_flops_of_7b_are_near_six_times_its_parameters():
    assert 0.9 < flops_per_token(AQUILA2["7b"], 2048) / (6 * parameters(AQUILA2["7b"])) < 1.1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"heads": 6, "kv_heads": 4}, r"heads=6 must be a multiple of kv_heads=4\."),
        ({"head_dim": 5}, r"head_dim=5 must be even"),
        ({"layers": 0}, r"layers=0 must be positive\."),
        ({"init_std": float("nan")}, r"init_std=nan must be positive\."),
        ({"remat": "all"}, r"remat='all' must be one of none, nothing_saveable"),
        ({"compute_dtype": "float16"}, r"compute_dtype='float16' must be one of float32, bfloat16"),
        ({"attention": "flash"}, r"attention='flash' must be one of"),
    ],
)
def test_sizes_that_do_not_fit_give_one_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(SMALL, **change)


def test_vocabulary_is_padded_to_a_multiple_of_64():
    assert SMALL.padded_vocab == 128
    assert dataclasses.replace(SMALL, vocab=128).padded_vocab == 128
    assert AQUILA2["7b"].padded_vocab == 100032
