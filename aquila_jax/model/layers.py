"""The parts of a block: weights born sharded, norm, attention with its projections, SwiGLU."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from aquila_jax.core.sharding import WEIGHTS, einsum, spec
from aquila_jax.model.attention import attention
from aquila_jax.model.config import ModelConfig
from aquila_jax.model.exchange import over_tokens
from aquila_jax.model.rope import rotate
from aquila_jax.model.tokens import join_tokens


def weight(
    cfg: ModelConfig, rngs: nnx.Rngs, axes: str, *, into_residual: bool = False
) -> nnx.Param:
    """A float32 weight drawn from N(0, init_std^2), born on the devices that hold it.

    Of the 2N weights whose products add up in the residual stream the variance may be 1 / 2N of that
    (GPT-2; `scaled_init_method_normal` of Megatron-LM), so that their sum has it at any depth.
    """
    scaled = into_residual and cfg.scaled_residual_init
    init = jax.nn.initializers.normal(cfg.init_std / (2 * cfg.layers if scaled else 1) ** 0.5)
    return nnx.Param(init(rngs(), cfg.shape(axes), jnp.float32, spec(axes, WEIGHTS)))


def vector(cfg: ModelConfig, axes: str, value: float) -> nnx.Param:
    """A float32 norm weight or bias; a norm over D is whole on each device, being small."""
    table = WEIGHTS | {"D": None}
    return nnx.Param(jnp.full(cfg.shape(axes), value, jnp.float32, out_sharding=spec(axes, table)))


def rms_norm(x: jax.Array, scale: nnx.Param, eps: float) -> jax.Array:
    """AquilaRMSNorm over the last axis: the weight multiplies in float32, then the cast."""
    x_float = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt(jnp.mean(jnp.square(x_float), axis=-1, keepdims=True) + eps)
    scale_here = jnp.expand_dims(scale[...], range(x.ndim - 1))
    return (x_float * inverse * scale_here).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def product(equation: str, x: jax.Array, w: jax.Array) -> jax.Array:
    """`core.sharding.einsum`, with the weight's gradient summed over tokens in float32.

    The automatic gradient would be summed, also across devices, in the type of `x`.
    """
    return einsum(equation, x, w)


def product_forward(equation, x, w):
    """Keeps both operands."""
    return einsum(equation, x, w), (x, w)


def product_backward(equation, operands, dy):
    """Each operand's gradient is the einsum with its letters as output."""
    x, w = operands
    x_axes, w_axes, y_axes = equation.replace("->", ",").split(",")
    dx = einsum(f"{y_axes},{w_axes}->{x_axes}", dy, w)
    x_axes, y_axes = x_axes[2:], y_axes[2:]
    narrow, wide = join_tokens(x, x_axes), join_tokens(dy, y_axes)
    if y_axes == "D":
        narrow, wide, x_axes, y_axes = wide, narrow, y_axes, x_axes
    dw = over_tokens(f"T{x_axes},T{y_axes}->{w_axes}", narrow, wide, dtype=w.dtype)
    return dx, dw


product.defvjp(product_forward, product_backward)


class Attention(nnx.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        self.cfg = cfg
        self.query = weight(cfg, rngs, "DHK")
        self.key = weight(cfg, rngs, "DGK")
        self.value = weight(cfg, rngs, "DGK")
        self.out = weight(cfg, rngs, "HKD", into_residual=True)
        if cfg.qkv_bias:
            self.query_bias = vector(cfg, "HK", 0.0)
            self.key_bias = vector(cfg, "GK", 0.0)
            self.value_bias = vector(cfg, "GK", 0.0)
        if cfg.qk_norm:
            self.query_norm = vector(cfg, "K", cfg.norm_init)
            self.key_norm = vector(cfg, "K", cfg.norm_init)

    def project(self, x_BLD, table):
        """Queries (scaled for the scores), keys and values."""
        q_BLHK = product("BLD,DHK->BLHK", x_BLD, self.query[...])
        k_BLGK = product("BLD,DGK->BLGK", x_BLD, self.key[...])
        v_BLGK = product("BLD,DGK->BLGK", x_BLD, self.value[...])
        if self.cfg.qkv_bias:
            q_BLHK = q_BLHK + self.query_bias[...].astype(x_BLD.dtype)[None, None]
            k_BLGK = k_BLGK + self.key_bias[...].astype(x_BLD.dtype)[None, None]
            v_BLGK = v_BLGK + self.value_bias[...].astype(x_BLD.dtype)[None, None]
        if self.cfg.qk_norm:
            q_BLHK = rms_norm(q_BLHK, self.query_norm, self.cfg.norm_eps)
            k_BLGK = rms_norm(k_BLGK, self.key_norm, self.cfg.norm_eps)
        q_BLHK = rotate(q_BLHK, table) * self.cfg.head_dim**-0.5
        return q_BLHK, rotate(k_BLGK, table), v_BLGK

    def mix(self, q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
        """Reads from the visible tokens and writes to the residual stream."""
        y_BLHK = attention(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL, backend=self.cfg.attention)
        return product("BLHK,HKD->BLD", y_BLHK, self.out[...])


class Mlp(nnx.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, cfg: ModelConfig, rngs: nnx.Rngs):
        self.gate = weight(cfg, rngs, "DF")
        self.up = weight(cfg, rngs, "DF")
        self.down = weight(cfg, rngs, "FD", into_residual=True)

    def __call__(self, x_BLD):
        gate_BLF = product("BLD,DF->BLF", x_BLD, self.gate[...])
        up_BLF = product("BLD,DF->BLF", x_BLD, self.up[...])
        return product("BLF,FD->BLD", gated(gate_BLF, up_BLF), self.down[...])


@jax.custom_vjp
def gated(gate: jax.Array, up: jax.Array) -> jax.Array:
    """silu(gate) * up; its gradient keeps these two only, and takes sigmoids again."""
    return jax.nn.silu(gate) * up


def gated_forward(gate, up):
    """Keeps both operands."""
    return gated(gate, up), (gate, up)


def gated_backward(operands, dy):
    """With s = sigmoid(gate), the slope of silu is s * (1 + gate * (1 - s))."""
    gate, up = operands
    sigmoid = jax.nn.sigmoid(gate)
    return dy * up * sigmoid * (1 + gate * (1 - sigmoid)), dy * gate * sigmoid


gated.defvjp(gated_forward, gated_backward)
