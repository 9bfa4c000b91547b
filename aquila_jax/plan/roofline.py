"""How fast a step can be at best: the slowest of arithmetic, memory, links and network.

    step = max(FLOPs / peak, bytes of memory / its speed, bytes over links / their speed,
               bytes between slices / the network's speed), all per device

as if all four overlapped perfectly and each ran at its published peak. So it is a bound, which a
run stays behind, and no forecast; their sum is what it would be if nothing overlapped. Utilisation is model FLOPs (`model.config.flops_per_token`,
nothing recomputed) over what the devices could do in that time.
"""

import dataclasses

from aquila_jax.model import splash
from aquila_jax.model.config import ModelConfig, flops_per_token, matmul_parameters
from aquila_jax.plan.chips import Slice

DAY = 86400.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds of one step, each for itself."""

    compute: float
    memory: float
    links: float
    network: float = 0.0

    @property
    def step(self) -> float:
        """The bound on the whole step."""
        return max(dataclasses.astuple(self))

    @property
    def bound(self) -> str:
        """What the step waits for."""
        times = dataclasses.asdict(self)
        return max(times, key=times.get)

    @property
    def serial(self) -> float:
        """The step if nothing overlapped."""
        return sum(dataclasses.astuple(self))

    @property
    def rank(self) -> float:
        """Smaller is better: half of what could hide behind the slowest part, does."""
        return (self.step + self.serial) / 2


def hardware_flops_per_token(cfg: ModelConfig, length: int, *, context: int) -> float:
    """`flops_per_token`, and what is computed again or in vain, on TPU.

    Checkpointing whole layers repeats their forward pass; keeping the products repeats only
    attention.
    """
    again = 2.0 * (matmul_parameters(cfg) - cfg.vocab * cfg.embed)
    again *= cfg.remat == "nothing_saveable"
    return flops_per_token(cfg, length) + again + _attention_beyond(cfg, length, context)


def _attention_beyond(cfg: ModelConfig, length: int, context: int) -> float:
    """FLOPs of attention beyond its six products, of which `flops_per_token` counts the causal half.

    Fused attention forgets its scores, and TPU's has one kernel for the gradient of queries and
    one for that of keys and values: scores and their gradient are computed twice. A ring forgets
    them, too. It and XLA, where `context` spreads the queries or cuDNN was wanted, compute what
    the mask then hides.
    """
    scores = cfg.layers * length * cfg.heads * cfg.head_dim  # the half of one product
    fused = cfg.attention == "splash" or (
        cfg.attention == "auto" and splash.fits(length // context, cfg.head_dim)
    )
    ring = cfg.attention == "ring"
    products = 6 + 2 * (cfg.remat != "none") + 3 * fused + ring
    whole = cfg.attention in ("ring", "cudnn") or (context > 1 and not fused)
    return scores * (products * (1 + whole) - 6.0)


def figures(times: Times, *, slice_: Slice, tokens: int, model_flops: float, target: int) -> dict:
    """Utilisation, tokens a day, and days until `target` tokens are learned."""
    at_peak = model_flops * tokens / (slice_.devices * slice_.chip.flops)
    per_day = tokens / times.step * DAY
    return {
        "seconds": dataclasses.asdict(times) | {"step": times.step, "serial": times.serial},
        "bound": times.bound,
        "utilisation": at_peak / times.step,
        "utilisation_serial": at_peak / times.serial,
        "tokens_per_second_per_chip": tokens / times.step / slice_.chips,
        "tokens_per_day": per_day,
        "days": target / per_day,
    }


def cost(days: float, slice_: Slice, price: float) -> float:
    """What `days` of the slice cost at `price` a chip and hour."""
    return days * 24 * slice_.chips * price
