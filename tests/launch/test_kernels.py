import jax
import pytest

from launch import kernels

TRACE = """
planes {
  name: "/device:GPU:0"
  event_metadata { key: 1 value { id: 1 name: "nvjet_sm90" } }
  event_metadata { key: 2 value { id: 2 name: "loop_fusion" } }
  lines { name: "Stream #1" events { metadata_id: 1 duration_ps: 6000000000 }
          events { metadata_id: 2 duration_ps: 300000000 } }
  lines { name: "Stream #2" events { metadata_id: 1 duration_ps: 3000000000 } }
  lines { name: "XLA Ops" events { metadata_id: 1 duration_ps: 9000000000 } }
}
planes { name: "/host:CPU" lines { name: "Stream #1" events { duration_ps: 1000000000 } } }
"""


def test_kernels_are_summed_over_streams_and_divided_by_steps():
    told = kernels.summed(jax.profiler.ProfileData.from_text_proto(TRACE))
    assert [row["kernel"] for row in told] == ["nvjet_sm90", "loop_fusion"]
    assert told[0]["milliseconds"] == pytest.approx(9 / kernels.STEPS)
    assert told[0]["calls"] == pytest.approx(2 / kernels.STEPS)


def test_a_kernel_counts_to_the_kind_that_its_name_tells():
    names = ("nvjet_1", "sm90_xmma_gemm", "cudnn_generated_fort_native_sdpa", "Memset 0", "loop_1")
    sums = kernels.by_kind([{"kernel": name, "milliseconds": 1.0} for name in names])
    assert sums == {"products": 2, "attention": 1, "copies": 1, "everything else": 1}
