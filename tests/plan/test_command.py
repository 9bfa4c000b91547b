"""The verb as a user has it; with TPU's compiler, where it is installed, on a tiny model."""

import contextlib
import importlib.util
import io
import json
import time

import pytest

from aquila_jax.cli import main
from aquila_jax.plan import chips, search, topology

SETTINGS = (
    "model.vocab=500", "model.layers=3", "model.embed=256", "model.ffn=512", "model.head_dim=128",
    "model.compute_dtype=bfloat16", "model.attention=splash", "model.qk_norm=False",
    "model.remat=nothing_saveable", "data.length=256", "train.batch=8", "train.accumulate=2",
    "train.mesh={'fsdp':2,'tensor':2}",
)  # fmt: skip
PATIENCE = 600  # seconds, for the plan of another suite on this machine
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed"
)


@pytest.fixture
def plan(tmp_path):
    """The command line: exit code, what was said, and what was complained."""

    def run(*arguments: str, settings=SETTINGS) -> tuple[int, str, str]:
        line = ["plan", "--config=configs/tiny.py", f"--cache={tmp_path}/cache", *arguments]
        line += [f"--config.{setting}" for setting in settings]
        for _ in range(PATIENCE // 5):
            out, errors = io.StringIO(), io.StringIO()
            with (
                pytest.warns(DeprecationWarning, match="load_module"),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(errors),
            ):
                code = main(line)
            if "another process is at work" not in errors.getvalue():
                return code, out.getvalue(), errors.getvalue()
            time.sleep(5)
        pytest.fail(f"waited {PATIENCE} seconds: {errors.getvalue()}")

    return run


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_compiled(
    plan, tmp_path, monkeypatch
):
    monkeypatch.setattr(topology, "require", lambda: None)
    monkeypatch.setattr(search, "best", lambda *_: pytest.fail("compiled"))
    for option in ("--save", "--out"):
        code, _, complaint = plan("--topology", "v5e-4", f"{option}={tmp_path}")
        assert code == 1 and f"{tmp_path} cannot be written" in complaint


@needs_libtpu
def test_a_real_plan(plan, tmp_path):
    out = tmp_path / "plan.json"
    arguments = ("--topology", "v5e-4", "--as-is", "--price=1.2", f"--out={out}")
    code, said, _ = plan(*arguments)
    assert code == 0 and "compiling fsdp=2, tensor=2" in said
    found = json.loads(out.read_text())["plans"][0]
    check_memory(found)
    check_motion(found)
    assert found["cost"] == pytest.approx(found["days"] * 24 * 4 * 1.2)
    code, again, _ = plan(*arguments)
    assert code == 0 and "known: fsdp=2, tensor=2" in again and "compiling" not in again
    assert again.splitlines()[-2:] == said.splitlines()[-2:]  # the table's row, and the note


@needs_libtpu
def test_a_state_that_does_not_fit_is_a_verdict_with_the_way_out(plan, tmp_path):
    out = tmp_path / "plan.json"
    arguments = ("--topology", "v5e-4", "--as-is", f"--out={out}")
    code, said, _ = plan(*arguments, settings=(*SETTINGS, "model.layers=9000"))
    assert code == 0 and "| NO " in said
    found = json.loads(out.read_text())["plans"][0]
    assert not found["fits"] and found["needed"] == pytest.approx(16 * 9000 * LAYER / 4, rel=0.01)
    assert "GiB too many; take a slice of 8 devices or more" in found["advice"]
    assert found["advice"] in said


@needs_libtpu
def test_two_slices_exchange_gradients_over_the_network_and_nothing_else(plan, tmp_path):
    out = tmp_path / "plan.json"
    mesh = "train.mesh={'data':2,'fsdp':2,'tensor':2}"
    arguments = ("--topology", "v5e-4x2", "--as-is", f"--out={out}")
    code, _, complaint = plan(*arguments, settings=(*SETTINGS, mesh))
    assert code == 0, complaint
    found = json.loads(out.read_text())["plans"][0]
    between = [row for row in found["collectives"] if row["network"]]
    assert {row["kind"] for row in between} == {"all-reduce"}
    assert all("data" in row["axes"] for row in between)
    gradients = 4 * (2 * 512 * 256 + 3 * LAYER) / 4
    moved = sum(row["bytes"] for row in between)
    assert gradients < moved < 3 * gradients  # each of two micro-batches once, and what is small
    assert found["seconds"]["network"] == pytest.approx(moved / chips.CHIPS["v5e"].network_speed)


def check_memory(found):
    """Weights without norms: 2 x 512 x 256 for the vocabulary, then three layers; over 4 devices."""
    assert found["fits"] and found["topology"] == "v5e-4"
    weights = 4 * (2 * 512 * 256 + 3 * LAYER) / 4
    assert found["parameters"] == pytest.approx(weights, rel=0.02)
    assert found["optimizer"] == pytest.approx(2 * found["parameters"], rel=1e-3)
    assert found["needed"] < found["available"] == chips.CHIPS["v5e"].memory


def check_motion(found):
    """Weights are gathered in bfloat16, half of each is here; some once for both micro-batches."""
    assert {"fsdp", "tensor"} <= {row["axes"] for row in found["collectives"]}
    gathered = sum(r["bytes"] for r in found["collectives"] if r["kind"] == "all-gather")
    assert gathered > 2 * (3 * LAYER / 2) / 2
    seconds = found["seconds"]
    assert seconds["step"] == max(seconds[kind] for kind in ("compute", "memory", "links"))
    assert 0 < found["utilisation_serial"] < found["utilisation"] < 1


LAYER = 256 * 128 * (4 + 2) * 2 + 3 * 256 * 512


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        ((), (), "--topology NAME or --chips N"),
        (("--topology", "v5e-5"), (), "does not exist (did you mean v5e-"),
        (("--topology", "v5e-4", "--as-is"), ("train.mesh={'tensor':4}",), "kv_heads=2"),
        (("--topology", "v5e-4", "--as-is"), ("train.mesh={'fsdp':3}",), "must multiply to the 4"),
        (("--topology", "v5e-4", "--tries=0"), (), "--tries 0 must be at least 1"),
        (("--topology", "v5e-4", "v5e-8", "--save=x"), (), "--save keeps one program"),
    ],
)
@needs_libtpu
def test_bad_wishes_are_answered_in_one_sentence(plan, arguments, settings, words):
    code, _, complaint = plan(*arguments, settings=(*SETTINGS, *settings))
    assert code == 1 and words in complaint and complaint.count("\n") == 1
