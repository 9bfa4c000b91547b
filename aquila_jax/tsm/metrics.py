"""What a step sums while it runs, as clu monoids: merging over micro-batches is addition."""

# No `from __future__ import annotations` here: clu reads the types of the fields.

import flax
import jax
import jax.numpy as jnp
from clu import metrics


@flax.struct.dataclass
class DomainSum(metrics.Metric):
    """A sum per domain, `[M]`."""

    total_M: jax.Array

    @classmethod
    def from_model_output(cls, values_BL, domain_ids_BL, domains: int):
        """Sums `values_BL` by domain."""
        # A comparison and a sum: a scatter (segment_sum) would first gather the sharded axis.
        here_BLM = domain_ids_BL[..., None] == jnp.arange(domains)[None, None, :]
        return cls(jnp.sum(jnp.where(here_BLM, values_BL[..., None], 0.0), axis=(0, 1)))

    def merge(self, other):
        """Sums add."""
        return type(self)(self.total_M + other.total_M)

    def compute(self):
        """The sums, `[M]`."""
        return self.total_M


@flax.struct.dataclass
class WeightedMean(metrics.Metric):
    """A mean over targets, however many each micro-batch has."""

    total: jax.Array
    weight: jax.Array

    @classmethod
    def from_model_output(cls, values_BL, weights_BL):
        """The weighted values of one micro-batch; where the weight is 0 they may be anything."""
        return cls(
            jnp.sum(jnp.where(weights_BL > 0, values_BL, 0.0) * weights_BL), jnp.sum(weights_BL)
        )

    def merge(self, other):
        """Totals and weights add."""
        return type(self)(self.total + other.total, self.weight + other.weight)

    def compute(self):
        """The mean; 0 for no targets at all."""
        return self.total / jnp.maximum(self.weight, 1.0)


@flax.struct.dataclass
class StepMetrics(metrics.Collection):
    """`compute()` gives the fields of `Signals` that are sums over tokens."""

    loss: WeightedMean
    log_z_squared: WeightedMean
    domain_nats_M: DomainSum
    domain_tokens_M: DomainSum

    @classmethod
    def empty(cls, domains: int):
        """Nothing summed yet; merging it changes nothing."""
        zero = jnp.zeros(())
        zero_M = DomainSum(jnp.zeros(domains))
        mean = WeightedMean(zero, zero)
        # clu's marker for values that are not replicated over devices by pmap.
        return cls(
            _reduction_counter=metrics._ReductionCounter.empty(),
            loss=mean,
            log_z_squared=mean,
            domain_nats_M=zero_M,
            domain_tokens_M=zero_M,
        )

    @classmethod
    def measure(cls, nats_BL, log_z_squared_BL, loss_mask_BL, *, domain_ids_BL, domains: int):
        """One micro-batch, `[B, L]` each, B sharded as the batch is."""
        mask_BL = loss_mask_BL.astype(jnp.float32)
        nats_BL = jnp.where(mask_BL > 0, nats_BL, 0.0) * mask_BL
        return cls.empty(domains).replace(
            loss=WeightedMean.from_model_output(nats_BL, mask_BL),
            log_z_squared=WeightedMean.from_model_output(log_z_squared_BL, mask_BL),
            domain_nats_M=DomainSum.from_model_output(nats_BL, domain_ids_BL, domains),
            domain_tokens_M=DomainSum.from_model_output(mask_BL, domain_ids_BL, domains),
        )
