"""The shape of a model, what it costs, and the published shapes of the Aquila2 family."""

import dataclasses
from typing import Literal

VOCAB_MULTIPLE = 64
Remat = Literal["none", "nothing_saveable", "dots_saveable", "dots_with_no_batch_dims_saveable"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A dense decoder: RMSNorm before each part, rotary positions, grouped heads, SwiGLU."""

    vocab: int  # entries of the tokenizer; the arrays hold `padded_vocab`
    layers: int
    embed: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    rope_base: float = 10000.0
    norm_eps: float = 1e-5
    norm_init: float = 1.0  # initial weight of every norm, the last one too
    init_std: float = 0.02
    scaled_residual_init: bool = False  # `out` and `down` by 1 / sqrt(2 layers) of it
    qkv_bias: bool = False  # the AquilaMoE family has it
    qk_norm: bool = False
    compute_dtype: Literal["float32", "bfloat16"] = "bfloat16"  # weights stay float32
    attention: Literal["auto", "xla", "splash", "cudnn", "ring"] = "auto"
    remat: Remat = "nothing_saveable"
    unroll: int = 1  # layers per turn of the layer loop: all of them is fastest for a small model
    loss_chunks: int = 8  # logits stand in memory one chunk at a time

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type in (int, float) and not value > 0:
                raise ValueError(f"{field.name}={value} must be positive.")
            options = getattr(field.type, "__args__", None)
            if options and value not in options:
                raise ValueError(f"{field.name}={value!r} must be one of {', '.join(options)}.")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads={self.heads} must be a multiple of kv_heads={self.kv_heads}.")
        if self.head_dim % 2:
            raise ValueError(f"head_dim={self.head_dim} must be even: rotary positions turn pairs.")

    @property
    def padded_vocab(self) -> int:
        """The vocabulary rounded up, so that the tensor axis divides it."""
        return -(-self.vocab // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    def shape(self, axes: str) -> tuple[int, ...]:
        """`shape("DF")` is `(embed, ffn)`; the letters are those of `core.sharding`."""
        size = {"V": self.padded_vocab, "D": self.embed, "F": self.ffn, "N": self.layers}
        size |= {"H": self.heads, "G": self.kv_heads, "K": self.head_dim}
        return tuple(size[axis] for axis in axes)


def matmul_parameters(cfg: ModelConfig) -> int:
    """Weights that multiply every token: all matrices but the embedding table."""
    attention = 2 * cfg.embed * cfg.head_dim * (cfg.heads + cfg.kv_heads)
    return cfg.layers * (attention + 3 * cfg.embed * cfg.ffn) + cfg.vocab * cfg.embed


def parameters(cfg: ModelConfig) -> int:
    """Parameters of the model, without the rows that only pad the vocabulary."""
    norms = 2 * cfg.embed + cfg.qk_norm * 2 * cfg.head_dim
    biases = cfg.qkv_bias * cfg.head_dim * (cfg.heads + 2 * cfg.kv_heads)
    vectors = cfg.layers * (norms + biases) + cfg.embed
    return matmul_parameters(cfg) + cfg.vocab * cfg.embed + vectors


def flops_per_token(cfg: ModelConfig, length: int) -> int:
    """Model FLOPs to train one token of a sequence of `length`, forward and backward.

    6 x matmul parameters + 6 x layers x length x heads x head_dim. The first term is the two
    FLOPs of a multiply-add, forward and twice backward (PaLM, arXiv 2204.02311, appendix B);
    the second is scores and values, of which a causal model needs half (PaLM counts all: 12).
    The embedding lookup, norms and recomputation are not counted.
    """
    return 6 * matmul_parameters(cfg) + 6 * cfg.layers * length * cfg.heads * cfg.head_dim


# Aquila2 report, arXiv 2408.07410, tables 12 and 13. Contexts: 2048, 4096, 4096. The training code
# (FlagScale) is Megatron-LM, whose initial weights into the residual are smaller the deeper a model is.
AQUILA2 = {
    "7b": ModelConfig(
        vocab=100008, layers=32, embed=4096, ffn=11008, heads=32, kv_heads=32, head_dim=128,
        scaled_residual_init=True,
    ),
    "34b": ModelConfig(
        vocab=100008, layers=60, embed=6144, ffn=24576, heads=48, kv_heads=8, head_dim=128,
        norm_init=0.3, init_std=0.0165, scaled_residual_init=True,
    ),
    "70b": ModelConfig(
        vocab=100008, layers=80, embed=8192, ffn=28672, heads=64, kv_heads=8, head_dim=128,
        norm_init=0.25, init_std=0.0149, scaled_residual_init=True,
    ),
}  # fmt: skip

# The dense models of AquilaMoE, arXiv 2408.06567, table 3. Contexts: 2048, 4096, 4096.
AQUILA_DENSE = {
    "1.8b": ModelConfig(
        vocab=151851, layers=24, embed=2048, ffn=5504, heads=32, kv_heads=32, head_dim=64,
        rope_base=1e6, qkv_bias=True,
    ),
    "7b": ModelConfig(
        vocab=151851, layers=32, embed=4096, ffn=14336, heads=32, kv_heads=8, head_dim=128,
        rope_base=1e6, qkv_bias=True,
    ),
    "16b": ModelConfig(
        vocab=151851, layers=40, embed=5120, ffn=20480, heads=40, kv_heads=8, head_dim=128,
        rope_base=1e6, qkv_bias=True,
    ),
}  # fmt: skip
