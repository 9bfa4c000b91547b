"""The optax chain that the adaptive training engine controls."""

import dataclasses
from typing import Literal

import jax
import optax
from jax.sharding import PartitionSpec
from optax.contrib import MuonDimensionNumbers

from aquila_jax.ate import transforms
from aquila_jax.ate.offload import offloaded
from aquila_jax.ate.schedules import Schedule, neutral
from aquila_jax.core import limits
from aquila_jax.core.signals import Control

# How each stacked weight [N, ...] is a matrix: axes summed over, axes produced. What is not
# named here (embeddings, head, norms) is left to Adam, as Muon's authors advise, by optax with
# Nesterov's momentum as in Muon itself (Dozat 2016).
_MATRICES = {
    "query": MuonDimensionNumbers(1, (2, 3)),
    "key": MuonDimensionNumbers(1, (2, 3)),
    "value": MuonDimensionNumbers(1, (2, 3)),
    "out": MuonDimensionNumbers((1, 2), 3),
    "gate": MuonDimensionNumbers(1, 2),
    "up": MuonDimensionNumbers(1, 2),
    "down": MuonDimensionNumbers(1, 2),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW as in the Aquila2 report (arXiv 2408.07410, section 3.1), or Muon."""

    name: Literal["adamw", "muon"] = "adamw"
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    offload: bool = False  # moments lie in the hosts' memory between updates (TPU, GPU)

    def __post_init__(self):
        if self.name not in ("adamw", "muon"):
            raise ValueError(f"optimizer name={self.name!r} must be 'adamw' or 'muon'.")
        share = {"rule": "at least 0 and below 1", "holds": lambda value: 0 <= value < 1}
        limits.require(self, "optimizer", "b1", "b2", **share)
        limits.positive(self, "optimizer", "eps", "clip_norm")
        limits.at_least(0, self, "optimizer", "weight_decay")


def make_optimizer(
    config: OptimizerConfig, schedule: Schedule
) -> optax.GradientTransformationExtraArgs:
    """Clip, precondition, decay, scale: each reads `control=`, `sequences=`, `grad_norm=`."""
    direction = {"adamw": _adam, "muon": _muon}[config.name](config)
    chain = optax.named_chain(
        ("clip", transforms.clip_by_control()),
        ("direction", direction),
        ("decay", transforms.decay_weights(config.weight_decay, is_matrix)),
        ("rate", transforms.scale_by_schedule(schedule)),
    )
    return offloaded(chain) if config.offload else chain


def neutral_control(config: OptimizerConfig, schedule: Schedule, z_loss: float) -> Control:
    """The control under which the run is the planned one."""
    return neutral(schedule)._replace(clip_norm=config.clip_norm, z_loss=z_loss)


def is_matrix(params):
    """True for weights that decay: everything but norms and biases."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: not any(word in name_of(path) for word in ("norm", "bias")), params
    )


def name_of(path) -> str:
    """`blocks.attention.query` for a leaf of the model."""
    keys = (getattr(key, "name", getattr(key, "key", None)) for key in path)
    return ".".join(str(key) for key in keys if key is not None)


def _adam(config: OptimizerConfig) -> optax.GradientTransformation:
    return optax.scale_by_adam(config.b1, config.b2, config.eps)


def _muon(config: OptimizerConfig) -> optax.GradientTransformation:
    """Muon (arXiv 2502.16982) at the update size of AdamW, so that rate and decay carry over."""
    dimensions = lambda params: jax.tree_util.tree_map_with_path(  # noqa: E731
        lambda path, _: _MATRICES.get(_weight_name(path)), params
    )
    muon = optax.contrib.muon(
        learning_rate=1.0,
        eps=config.eps,
        adam_b1=config.b1,
        adam_b2=config.b2,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=dimensions,
    )
    # optax descends; in this chain the sign comes last, in "rate".
    return optax.chain(spread_over_layers(muon), optax.scale(-1.0))


def spread_over_layers(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Runs `inner` on whole matrices, each device of `fsdp` having some layers.

    Newton-Schulz multiplies a matrix with its transpose, which no sharding of one matrix
    makes cheap; layers are independent. Where `fsdp` does not divide the layers, each device
    has all of them.
    """

    def spread(tree):
        return jax.tree_util.tree_map_with_path(_by_layers, tree)

    def init(params):
        return inner.init(spread(params))

    def update(updates, state, params=None):
        spread_updates, state = inner.update(spread(updates), state, spread(params))
        back = lambda x, like: jax.sharding.reshard(x, jax.typeof(like).sharding.spec)  # noqa: E731
        return jax.tree.map(back, spread_updates, updates), state

    return optax.GradientTransformation(init, update)


def _by_layers(path, x: jax.Array) -> jax.Array:
    if _weight_name(path) not in _MATRICES:
        return x
    shards = jax.sharding.get_abstract_mesh().shape["fsdp"]
    return jax.sharding.reshard(x, PartitionSpec(None if x.shape[0] % shards else "fsdp"))


def _weight_name(path) -> str:
    names = [part for part in name_of(path).split(".") if part != "value"]
    return names[-1] if names else ""
