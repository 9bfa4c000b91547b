"""Memory and time of a layout guessed without compiling, to choose what the compiler shall judge."""

import math

from aquila_jax.config import Config
from aquila_jax.model.config import parameters
from aquila_jax.plan.candidates import Candidate, applied
from aquila_jax.plan.chips import Slice
from aquila_jax.plan.roofline import Times, hardware_flops_per_token

WEIGHT_BYTES = 4
STATE_BYTES = 12  # a weight and its two moments, float32
GRADIENT_BYTES = 4
HALF, FLOAT = 2, 4


def memory(config: Config, candidate: Candidate) -> float:
    """Bytes on one device: state, gradients, what the backward pass needs, the largest moment."""
    model, shards = config.model, candidate.fsdp * candidate.tensor
    weights = parameters(model) / shards
    layer = layer_parameters(config) / candidate.tensor
    tokens = candidate.rows * config.data.length / candidate.context
    kept = tokens * model.layers * kept_per_token(config, candidate) * HALF
    # One layer's backward pass, with the gathered weights of two and their gradient.
    widths = 6 * model.embed + (3 * model.heads * model.head_dim + 4 * model.ffn) / candidate.tensor
    moment = tokens * widths * HALF + layer * (2 * HALF + FLOAT)
    vocabulary = model.padded_vocab / candidate.tensor
    logits = 3 * FLOAT * tokens / candidate.loss_chunks * vocabulary
    logits += (HALF + FLOAT) * vocabulary * model.embed + 2 * HALF * tokens * model.embed
    gradients = GRADIENT_BYTES * weights * (1 if candidate.accumulate == 1 else 2)
    held = WEIGHT_BYTES if config.optimizer.offload else STATE_BYTES
    return weights * held + gradients + kept + max(moment, logits)


def kept_per_token(config: Config, candidate: Candidate) -> float:
    """Numbers that one layer leaves for the backward pass, of each token on a device."""
    model = config.model
    if candidate.remat == "nothing_saveable":
        return model.embed
    heads = (model.heads + 2 * model.kv_heads) * model.head_dim
    return 3 * model.embed + (heads + 2 * model.ffn) / candidate.tensor


def times(config: Config, candidate: Candidate, slice_: Slice) -> Times:
    """Seconds of a step by counting what must be computed and moved."""
    laid_out = applied(config, candidate)
    model, chip, length = laid_out.model, slice_.chip, config.data.length
    tokens = candidate.batch * length / slice_.devices
    flops = hardware_flops_per_token(model, length, context=candidate.context) * tokens
    bytes_ = memory_traffic(config, candidate)
    return Times(
        compute=flops / chip.flops,
        memory=bytes_ / chip.memory_speed,
        links=link_traffic(config, candidate, slice_) / chip.link_speed,
        network=network_traffic(config, candidate, slice_) / chip.network_speed,
    )


def memory_traffic(config: Config, candidate: Candidate) -> float:
    """Bytes to and from memory: state once, weights and activations in each micro-batch."""
    model, passes = config.model, candidate.accumulate
    weights = parameters(model) / candidate.tensor
    tokens = candidate.rows * config.data.length / candidate.context
    widths = (
        16 * model.embed + (8 * model.ffn + 8 * model.heads * model.head_dim) / candidate.tensor
    )
    activations = 3 * HALF * tokens * model.layers * widths
    logits = 4 * FLOAT * tokens * model.padded_vocab / candidate.tensor
    state = weights / candidate.fsdp * (2 * STATE_BYTES + 3 * GRADIENT_BYTES)
    return state + passes * (weights * (3 * HALF + FLOAT) + activations + logits)


def link_traffic(config: Config, candidate: Candidate, slice_: Slice) -> float:
    """Bytes that a device takes in, divided by the torus dimensions that each axis can use."""
    model, passes = config.model, candidate.accumulate
    weights = parameters(model) / candidate.tensor
    tokens = candidate.rows * config.data.length / candidate.context
    hidden = tokens * model.embed * HALF
    keys = candidate.rows * config.data.length * 2 * model.kv_heads * model.head_dim
    # The vocabulary's gradient leaves in each chunk of the loss.
    unembed = model.padded_vocab * model.embed / candidate.tensor
    gradients = weights + (candidate.loss_chunks - 1) * unembed
    # An axis over the whole slice is summed whole by the compiler, not scattered (libtpu 0.0.51).
    whole = candidate.fsdp * slice_.slices == slice_.devices
    leaves = GRADIENT_BYTES * (2 if whole else 1)
    kinds = {
        # Weights come twice, three times if the forward pass is repeated.
        "fsdp": passes * (weights * HALF * (2 + _repeats(candidate)) + gradients * leaves),
        "data": 2 * passes * weights / candidate.fsdp * GRADIENT_BYTES,
        "tensor": 2 * passes * model.layers * hidden * (4 + 2 * _repeats(candidate)),
        "context": passes * model.layers * keys / candidate.tensor * HALF * 3,
    }
    sizes = {axis: getattr(candidate, axis) for axis in kinds}
    sizes["data"] //= slice_.slices
    return sum(
        bytes_ * (1 - 1 / sizes[axis]) / dimensions(sizes[axis], slice_)
        for axis, bytes_ in kinds.items()
        if sizes[axis] > 1
    )


def network_traffic(config: Config, candidate: Candidate, slice_: Slice) -> float:
    """Bytes into a device from other slices: its part of the gradients, summed each micro-batch."""
    shard = parameters(config.model) / (candidate.fsdp * candidate.tensor)
    return 2 * (1 - 1 / slice_.slices) * candidate.accumulate * shard * GRADIENT_BYTES


def dimensions(size: int, slice_: Slice) -> int:
    """How many torus dimensions an axis of that size spans at most."""
    sides = [int(side) for side in slice_.layout.partition(":")[2].split("x")]
    return min(len(sides), max(1, math.ceil(math.log2(size) / math.log2(max(sides)))))


def layer_parameters(config: Config) -> float:
    """Weights of one layer."""
    model = config.model
    return (parameters(model) - 2 * model.vocab * model.embed) / model.layers


def _repeats(candidate: Candidate) -> int:
    return int(candidate.remat == "nothing_saveable")
