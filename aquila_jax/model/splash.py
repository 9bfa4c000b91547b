"""Flash attention on TPU by the Pallas kernel of JAX: scores never leave the chip."""

import jax
from jax.experimental.pallas.ops.tpu import splash_attention as kernels
from jax.sharding import NamedSharding, PartitionSpec

from aquila_jax.core.sharding import WHOLE, spec
from aquila_jax.model.target import platform

LANES = 128  # the kernel works on tiles of so many numbers
BLOCKS = (512, 256, 128)  # queries and keys at a time


def splash_attention(q_BLHK, k_BLGK, v_BLGK, segment_ids_BL):
    """`[B, L, H, K]`; queries may be spread over `context`, keys are then gathered.

    Off TPU the kernel is interpreted: exact and slow, for tests.
    """
    mesh = jax.sharding.get_abstract_mesh()
    L, heads = q_BLHK.shape[1], q_BLHK.shape[2] // mesh.shape["tensor"]
    require_tiles(L // mesh.shape["context"], q_BLHK.shape[3])
    kernel = make_kernel(L, heads, mesh)
    layout = kernel.manual_sharding_spec(NamedSharding(mesh, PartitionSpec(None, "context")))
    queries = spec("BLHK"), spec("BL")
    keys = spec("BLGK", WHOLE), spec("BLGK", WHOLE), spec("BL", WHOLE)
    layouts = (layout, queries, keys)
    inputs = (kernel, (q_BLHK, segment_ids_BL), (k_BLGK, v_BLGK, segment_ids_BL))
    apply = jax.shard_map(attend, in_specs=layouts, out_specs=queries[0], check_vma=False)
    return apply(*jax.sharding.reshard(inputs, layouts))


def make_kernel(length: int, heads: int, mesh):
    """The causal kernel for one device's heads."""
    block = next(block for block in BLOCKS if (length // mesh.shape["context"]) % block == 0)
    names = (
        "block_q", "block_kv", "block_kv_compute", "block_q_dkv", "block_kv_dkv",
        "block_kv_dkv_compute", "block_q_dq", "block_kv_dq",
    )  # fmt: skip
    return kernels.make_splash_mha(
        kernels.MultiHeadMask([kernels.CausalMask((length, length))] * heads),
        block_sizes=kernels.BlockSizes(**dict.fromkeys(names, block)),
        head_shards=1,
        q_seq_shards=mesh.shape["context"],
        interpret=platform() != "tpu",
    )


def attend(kernel, queries, keys):
    """What one device does: its sequences one after another."""
    (q_BLHK, queries_BL), (k_BMGK, v_BMGK, keys_BM) = queries, keys
    heads_first = (x.swapaxes(1, 2) for x in (q_BLHK, k_BMGK, v_BMGK))
    segment_ids = kernels.SegmentIds(q=queries_BL, kv=keys_BM)
    return jax.vmap(kernel)(*heads_first, segment_ids).swapaxes(1, 2)


def fits(length: int, head_dim: int) -> bool:
    """Whether the kernel's tiles divide a device's queries and the heads."""
    return length % LANES == 0 and head_dim % LANES == 0


def require_tiles(length: int, head_dim: int) -> None:
    """ValueError unless `fits`."""
    if not fits(length, head_dim):
        raise ValueError(
            f"splash attention needs head_dim={head_dim} and the {length} tokens that each part "
            f"of `context` has to be multiples of {LANES}; set model.attention='xla'."
        )
