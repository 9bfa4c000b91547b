"""The decoder: an embedding, a scan over stacked blocks, a norm; logits belong to `loss`."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from aquila_jax.core.sharding import ACTIVATIONS, spec
from aquila_jax.model.config import ModelConfig
from aquila_jax.model.dense import logit_max
from aquila_jax.model.layers import Attention, Mlp, rms_norm, vector, weight
from aquila_jax.model.rope import rope_table

# What the backward pass finds in memory; the rest it computes again.
POLICIES = {
    "nothing_saveable": jax.checkpoint_policies.nothing_saveable,
    "dots_saveable": jax.checkpoint_policies.dots_saveable,
    "dots_with_no_batch_dims_saveable": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


class Statistics(NamedTuple):
    """What a forward pass tells of each layer; `None`: not measured by this variant."""

    activation_rms_N: jax.Array | None = None  # of each block's output
    attention_logit_max_N: jax.Array | None = None


class Block(nnx.Module):
    """One layer: attention and MLP, each on the normalised residual stream."""

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        self.cfg = cfg
        self.attention_norm = vector(cfg, "D", cfg.norm_init)
        self.attention = Attention(cfg, rngs)
        self.mlp_norm = vector(cfg, "D", cfg.norm_init)
        self.mlp = Mlp(cfg, rngs)

    def __call__(self, x_BLD, table, segment_ids_BL, *, statistics: Literal["light", "heavy"]):
        normed_BLD = rms_norm(x_BLD, self.attention_norm, self.cfg.norm_eps)
        q_BLHK, k_BLGK, v_BLGK = self.attention.project(normed_BLD, table)
        x_BLD = x_BLD + self.attention.mix(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL)
        x_BLD = x_BLD + self.mlp(rms_norm(x_BLD, self.mlp_norm, self.cfg.norm_eps))
        if statistics == "light":
            return x_BLD, Statistics()
        rms = jnp.sqrt(jnp.mean(jnp.square(x_BLD.astype(jnp.float32))))
        return x_BLD, Statistics(rms, logit_max(q_BLHK, k_BLGK, segment_ids_BL))


def look_up(embed_VD: jax.Array, tokens_BL: jax.Array) -> jax.Array:
    """`[B, L, D]`: each device reads its columns for more rows, then they are exchanged.

    The table itself, much larger than the activations, stays where it is.
    """
    columns = ACTIVATIONS | {"B": "data", "D": "fsdp"}
    tokens_BL = jax.sharding.reshard(tokens_BL, spec("BL", columns))
    x_BLD = embed_VD.at[tokens_BL].get(out_sharding=spec("BLD", columns))
    return jax.sharding.reshard(x_BLD, spec("BLD"))


class Transformer(nnx.Module):
    """Blocks are stacked: each weight under `blocks` has a leading axis N."""

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        self.cfg = cfg
        self.embed = weight(cfg, rngs, "VD")
        self.blocks = jax.vmap(functools.partial(Block, cfg))(rngs.split(cfg.layers))
        self.final_norm = vector(cfg, "D", cfg.norm_init)
        self.unembed = weight(cfg, rngs, "VD")

    def __call__(
        self,
        tokens_BL: jax.Array,
        positions_BL: jax.Array,
        segment_ids_BL: jax.Array,
        *,
        statistics: Literal["light", "heavy"] = "light",
    ) -> tuple[jax.Array, Statistics]:
        """The normalised last hidden states `[B, L, D]`, and each layer's statistics."""
        cfg = self.cfg
        table = rope_table(positions_BL, cfg.head_dim, cfg.rope_base)

        def step(x_BLD, block):
            return block(x_BLD, table, segment_ids_BL, statistics=statistics)

        x_BLD = look_up(self.embed[...], tokens_BL).astype(cfg.compute_dtype)
        if cfg.remat != "none":
            step = jax.checkpoint(step, policy=POLICIES[cfg.remat])
        x_BLD, layers = jax.lax.scan(step, x_BLD, self.blocks, unroll=cfg.unroll)
        return rms_norm(x_BLD, self.final_norm, cfg.norm_eps), layers
