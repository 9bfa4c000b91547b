"""Programs compiled here for eight emulated devices, and lines as TPU's compiler writes them."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aquila_jax.core import sharding
from aquila_jax.plan import hlo, measure

TURNS, ROWS, WIDE = 5, 16, 64
TPU = """HloModule jit_step, is_scheduled=true, num_partitions=4

%fused.1 (param_0.1: f32[8,128,256], param_1.1: s32[]) -> f32[128,256] {
  %param_0.1 = f32[8,128,256]{2,1,0:T(8,128)} parameter(0)
  %param_1.1 = s32[]{:T(128)S(6)} parameter(1)
  %constant.9 = s32[]{:T(128)} constant(0)
  %dynamic-slice.1 = f32[1,128,256]{2,1,0:T(8,128)} dynamic-slice(%param_0.1, %param_1.1, %constant.9, %constant.9), dynamic_slice_sizes={1,128,256}
  ROOT %bitcast.1 = f32[128,256]{1,0:T(8,128)} bitcast(%dynamic-slice.1)
}

%all-reduce-scatter.1 (param_0.2: f32[128,256]) -> f32[32,256] {
  %param_0.2 = f32[128,256]{1,0:T(8,128)} parameter(0)
  %all-reduce.3 = f32[128,256]{1,0:T(8,128)} all-reduce(%param_0.2), channel_id=2, replica_groups=[1,4]<=[4], use_global_device_ids=true, to_apply=%add.1
  %partition-id.1 = u32[] partition-id()
  ROOT %dynamic-slice.2 = f32[32,256]{1,0:T(8,128)} dynamic-slice(%all-reduce.3, %partition-id.1, %partition-id.1), dynamic_slice_sizes={32,256}
}

%body.1 (arg.1: (s32[], f32[8,128,256], bf16[32,256])) -> (s32[], f32[8,128,256], bf16[32,256]) {
  %arg.1 = (s32[]{:T(128)}, f32[8,128,256]{2,1,0:T(8,128)}, /*index=2*/bf16[32,256]{1,0:T(8,128)(2,1)}) parameter(0)
  %gte.1 = s32[]{:T(128)} get-tuple-element(%arg.1), index=0
  %gte.2 = f32[8,128,256]{2,1,0:T(8,128)} get-tuple-element(%arg.1), index=1
  %gte.3 = bf16[32,256]{1,0:T(8,128)(2,1)} get-tuple-element(%arg.1), index=2
  %fusion.1 = f32[128,256]{1,0:T(8,128)S(1)} fusion(%gte.2, %gte.1), kind=kLoop, calls=%fused.1
  %all-gather-start.1 = (bf16[32,256]{1,0:T(8,128)(2,1)}, bf16[128,256]{1,0:T(8,128)(2,1)S(1)}) all-gather-start(%gte.3), channel_id=1, replica_groups={{0,2},{1,3}}, dimensions={0}, use_global_device_ids=true
  %all-gather-done.1 = bf16[128,256]{1,0:T(8,128)(2,1)S(1)} all-gather-done(%all-gather-start.1)
  %fusion.2 = f32[32,256]{1,0:T(8,128)} fusion(%fusion.1), kind=kCustom, calls=%all-reduce-scatter.1
  ROOT %tuple.1 = (s32[]{:T(128)}, f32[8,128,256]{2,1,0:T(8,128)}, bf16[32,256]{1,0:T(8,128)(2,1)}) tuple(%gte.1, %gte.2, %gte.3)
}

%condition.1 (arg.2: (s32[], f32[8,128,256], bf16[32,256])) -> pred[] {
  %arg.2 = (s32[]{:T(128)}, f32[8,128,256]{2,1,0:T(8,128)}, bf16[32,256]{1,0:T(8,128)(2,1)}) parameter(0)
  %gte.4 = s32[]{:T(128)} get-tuple-element(%arg.2), index=0
  %constant.2 = s32[]{:T(128)} constant(8)
  ROOT %compare.1 = pred[]{:T(512)} compare(%gte.4, %constant.2), direction=LT
}

%add.1 (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum.1 = f32[] add(%x, %y)
}

ENTRY %main.1 (p0: f32[8,128,256], p1: bf16[32,256]) -> (s32[], f32[8,128,256], bf16[32,256]) {
  %p0 = f32[8,128,256]{2,1,0:T(8,128)} parameter(0)
  %p1 = bf16[32,256]{1,0:T(8,128)(2,1)} parameter(1)
  %constant.1 = s32[]{:T(128)} constant(0)
  %tuple.2 = (s32[]{:T(128)}, f32[8,128,256]{2,1,0:T(8,128)}, bf16[32,256]{1,0:T(8,128)(2,1)}) tuple(%constant.1, %p0, %p1)
  ROOT %while.1 = (s32[]{:T(128)}, f32[8,128,256]{2,1,0:T(8,128)}, bf16[32,256]{1,0:T(8,128)(2,1)}) while(%tuple.2), condition=%condition.1, body=%body.1
}
"""

BETWEEN = """HloModule jit_sum, is_scheduled=true, num_partitions=8

ENTRY %main.1 (p0: f32[128,8,128]) -> f32[128,8,128] {
  %p0 = f32[128,8,128]{2,1,0:T(8,128)} parameter(0)
  %after-all = token[] after-all()
  %send = (f32[128,8,128]{2,1,0:T(8,128)}, u32[], token[]) send(%p0, %after-all), channel_id=2, is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_megascale_reduce_operation="SUM",_xla_megascale_target="{1:4}x{0:1}",_xla_megascale_transfer_type="ALL_REDUCE"}
  %recv = (f32[128,8,128]{2,1,0:T(8,128)}, u32[], token[]) recv(%after-all), channel_id=1, is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_megascale_transfer_type="ALL_REDUCE"}
  %send-done = token[] send-done(%send), channel_id=2, is_host_transfer=true
  %recv-done = (f32[128,8,128]{2,1,0:T(8,128)}, token[]) recv-done(%recv), channel_id=1, is_host_transfer=true
  ROOT %gte.1 = f32[128,8,128]{2,1,0:T(8,128)} get-tuple-element(%recv-done), index=0
}
"""


@pytest.fixture(scope="module")
def eight():
    mesh = sharding.make_mesh({"data": 2, "fsdp": 4})
    with jax.set_mesh(mesh):
        yield mesh


@pytest.fixture(scope="module")
def gathering(eight):
    """A loop of five products with weights spread over fsdp, summed over data at the end."""
    weights = jax.ShapeDtypeStruct(
        (TURNS, WIDE, WIDE), jnp.float32, sharding=jax.NamedSharding(eight, jax.P(None, "fsdp"))
    )
    rows = jax.ShapeDtypeStruct(
        (ROWS, WIDE), jnp.float32, sharding=jax.NamedSharding(eight, jax.P(("data", "fsdp")))
    )

    def program(x, weights):
        def step(x, w):
            w = jax.sharding.reshard(w, jax.P())
            return jnp.tanh(
                jnp.einsum("bd,de->be", x, w, out_sharding=jax.P(("data", "fsdp")))
            ), None

        x = jax.lax.scan(step, x, weights)[0]
        return jnp.einsum("bd,be->de", x, x, out_sharding=jax.P())

    return hlo.parse(jax.jit(program).lower(rows, weights).compile().as_text())


def test_gathers_in_a_loop_count_as_often_as_it_turns(gathering, eight):
    rows = {row["kind"]: row for row in measure.collectives(gathering, eight)}
    gather = rows["all-gather"]
    assert (gather["count"], gather["axes"], gather["network"]) == (TURNS, "fsdp", False)
    assert gather["bytes"] == TURNS * 4 * WIDE * WIDE * 3 / 4
    reduce = rows["all-reduce"]
    assert (reduce["count"], reduce["axes"]) == (1, "data+fsdp")
    assert reduce["bytes"] == 4 * WIDE * WIDE * 2 * 7 / 8


def test_memory_is_counted_by_kernels_with_slices_of_stacked_weights(gathering):
    found = measure.memory_bytes(gathering)
    stack, gathered, rows = 4 * TURNS * WIDE * WIDE / 4, 4 * TURNS * WIDE * WIDE, 4 * WIDE * 2
    assert stack + gathered <= found <= 4 * (stack + gathered) + 40 * TURNS * rows


def test_lines_of_tpus_compiler():
    program = hlo.parse(TPU)
    assert program.entry == "main.1"
    assert dict(program.visits())["body.1"] == 8  # the bound stands in the loop's condition
    assert dict(program.visits())["all-reduce-scatter.1"] == 8
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("data", "fsdp"))
    rows = {row["kind"]: row for row in measure.collectives(program, mesh)}
    assert rows["all-gather"]["axes"] == "data"
    assert rows["all-gather"]["bytes"] == 8 * 32 * 256 * 2
    assert rows["reduce-scatter"]["axes"] == "data+fsdp"
    assert rows["reduce-scatter"]["bytes"] == 8 * 128 * 256 * 4 * 3 / 4


@pytest.mark.parametrize(("groups", "axis"), [("{{0,1},{2,3}}", "fsdp"), ("{{0,2},{1,3}}", "data")])
def test_exchanges_of_one_channel_are_told_apart_where_they_stand_alone(groups, axis):
    """`psum_scatter` and then `psum`, as JAX writes them: both have channel 1."""
    done = "  %all-gather-done.1 ="
    other = (
        "  %all-reduce.9 = f32[32,256]{1,0:T(8,128)} all-reduce(%gte.3), channel_id=1, "
        f"replica_groups={groups}, use_global_device_ids=true, to_apply=%add.1\n"
    )
    program = hlo.parse(TPU.replace(done, other + done))
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("data", "fsdp"))
    found = {(row["kind"], row["axes"]): row["count"] for row in measure.collectives(program, mesh)}
    assert found["all-gather", "data"] == found["all-reduce", axis] == 8


def test_what_goes_to_other_slices_is_seen_where_the_hosts_are_handed_it():
    program = hlo.parse(BETWEEN)
    cells = [types.SimpleNamespace(slice_index=number // 2) for number in range(8)]
    mesh = types.SimpleNamespace(devices=np.array(cells, object))
    (row,) = measure.collectives(program, mesh)
    assert (row["kind"], row["axes"], row["network"], row["count"]) == (
        "all-reduce", "data", True, 1,
    )  # fmt: skip
    assert row["bytes"] == 128 * 8 * 128 * 4 * 2 * 3 / 4


def test_tpus_own_memory_is_not_counted():
    # A turn: one of eight layers read, its copy kept on the chip; a shard read to be gathered;
    # the scattered sum written.
    turn = 4 * 128 * 256 + 2 * 32 * 256 + 4 * 32 * 256
    assert measure.memory_bytes(hlo.parse(TPU)) == pytest.approx(8 * turn, rel=1e-3)


HBM, CHIP = "{1,0:T(8,128)}", "{1,0:T(8,128)S(1)}"


@pytest.mark.parametrize(
    ("source", "result", "started", "opcode", "moved"),
    [
        # Read here and written four times as long.
        ("bf16[32,256]", "bf16[128,256]", "({0}, {1})", "all-gather", 5 * 16384),
        # A copy tells its result first.
        ("bf16[32,256]", "bf16[32,256]", "({1}, {0}, u32[])", "copy", 2 * 16384),
        # One of 32 layers.
        ("f32[1024,32768]", "f32[32,32768]", "(({0}), {1}, u32[])", "slice", 2 * (4 << 20)),
    ],
)
@pytest.mark.parametrize(("memory", "kept"), [((HBM, CHIP), 1), ((CHIP, HBM), 0), ((HBM, HBM), 2)])
def test_what_is_started_moves_what_it_would_at_once(
    source, result, started, opcode, moved, memory, kept
):
    """From HBM, to HBM, or both: of what comes and of what is written each where it lies there."""
    a, b = source + memory[0], result + memory[1]
    head = f"ENTRY %main (p: {source}) -> {result} {{\n  %p = {a} parameter(0)\n"
    at_once = f"  ROOT %x = {b} {opcode}(%p)\n}}\n"
    apart = (
        f"  %x = {started.format(a, b)} {opcode}-start(%p)\n"
        f"  %y = {started.format(a, b)} {opcode}-update(%x)\n"
        f"  ROOT %z = {b} {opcode}-done(%y)\n}}\n"
    )
    found = measure.memory_bytes(hlo.parse(head + apart))
    assert found == measure.memory_bytes(hlo.parse(head + at_once))
    read = moved - hlo.arrays(b)[0].bytes
    assert found == {0: moved - read, 1: read, 2: moved}[kept]


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("replica_groups={{0,2},{1,3}}", [0, 2]),
        ("replica_groups=[2,4]<=[8]", [0, 1, 2, 3]),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", [0, 4]),
        ("source_target_pairs={{1,2},{2,1}}", [1, 2]),
        ("replica_groups=mesh['a'=4,'b'=1,'c'=2], device_ids=([2,4]T(1,0)) {'a'}", [0, 1, 2, 3]),
        ("replica_groups=mesh['a'=4,'c'=2] {'c'}", [0, 1]),
        ("replica_groups=mesh['a'=8] {'a':(2)2}", [0, 2]),
        ("replica_groups=mesh['a'=8] {'a':(1)2}", [0, 4]),
        ("replica_groups={}", []),
    ],
)
def test_groups_in_all_their_spellings(text, group):
    assert measure.members(hlo.Instruction("x", (), "all-gather", (), text)) == group


def test_a_loop_without_a_bound_is_refused():
    with pytest.raises(ValueError, match="does not tell how often"):
        dict(hlo.parse(TPU.replace("constant(8)", "parameter(1)")).visits())
