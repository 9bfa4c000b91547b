"""The main job with everything on gs://, against an emulator over HTTP; skipped where there is none.

pip install gcsfs gcp-storage-emulator && python -m pytest tests/cloud
"""

import gzip
import io
import json
import pathlib
import shutil
import signal
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest

from aquila_jax import cli
from aquila_jax.dmu import places, staging
from aquila_jax.dmu.sample import write_sample
from tests.train import jobs

pytest.importorskip("gcp_storage_emulator")
pytest.importorskip("gcsfs")

# Clients of storage and loaders of configuration warn of what is not ours.
pytestmark = pytest.mark.filterwarnings("default")

CONFIG = """
from aquila_jax.dmu.sources import Source
from configs import tiny

def get_config():
    config = tiny.get_config()
    config.prepare.sources = tuple(
        {**config.prepare.sources[0], "name": name, "paths": (path,), "split": "train"}
        for name, path in (("lines", "gs://bucket/text/*.jsonl.gz"), ("table", "gs://bucket/text/*.parquet"))
    )
    return config
"""
STEPS = 32
CHANGES = {
    "schedule.total": STEPS * jobs.BATCH, "data.store": "gs://bucket/store",
    "data.sample_megabytes": 0.0, "train.checkpoint_every": 8,
    "train.writers": "('tensorboard',)",
}  # fmt: skip


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """Storage, an environment in which gs:// means it, and a folder that a machine can lose."""
    folder, port = tmp_path_factory.mktemp("cloud"), jobs.free_port()
    command = [sys.executable, str(pathlib.Path(__file__).with_name("storage.py"))]
    emulator = subprocess.Popen([*command, str(port), "bucket"], stdout=subprocess.PIPE, text=True)
    assert emulator.stdout.readline() == "serving\n"
    host = f"http://127.0.0.1:{port}"
    env = {
        "STORAGE_EMULATOR_HOST": host, "TENSORSTORE_GCS_HTTP_URL": host,
        "GCE_METADATA_ROOT": "127.0.0.1:1", "GOOGLE_CLOUD_PROJECT": "none",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }  # fmt: skip
    (folder / "config.py").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        put_text(folder)
        yield folder
    emulator.kill()
    emulator.communicate()


def put_text(folder: pathlib.Path) -> None:
    write_sample(folder / "sample", seed=0, megabytes=0.4)
    lines = [p.read_bytes() for p in sorted((folder / "sample").glob("*/train-*.jsonl"))]
    half = len(lines) // 2
    places.write_bytes("gs://bucket/text/a.jsonl.gz", gzip.compress(b"".join(lines[:half])))
    rows = [json.loads(line) for line in b"".join(lines[half:]).splitlines()]
    table = pyarrow.table({key: [row[key] for row in rows] for key in ("id", "text")})
    written = io.BytesIO()
    pyarrow.parquet.write_table(table, written)
    places.write_bytes("gs://bucket/text/b.parquet", written.getvalue())


def arguments(folder, verb: str, run: str) -> list[str]:
    """The small job, of this configuration and with its folder on gs://."""
    _, _, _, *given = jobs.arguments(verb, folder, **CHANGES)
    given[1:3] = [f"--config={folder}/config.py", f"--workdir=gs://bucket/{run}"]
    return given


def ask(capsys, *given: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["aquila_jax", *given])  # where config_flags looks
        code = cli.main(list(given))
    said = capsys.readouterr()
    assert code == 0, said
    return said.out


def learned(run: str) -> dict:
    """What must not depend on when a run was stopped."""
    address = f"gs://bucket/{run}"
    folder = staging.fetch(staging.stage(address, "look"))
    steps = [int(name) for name in places.names(f"{address}/checkpoints") if name.isdecimal()]
    saved = json.loads(places.read_bytes(f"{address}/checkpoints/{max(steps)}/host/metadata"))
    untimed = ("time", "step_seconds", "tokens_per_second", "mfu")
    metrics = [
        {key: value for key, value in line.items() if key not in untimed}
        for line in jobs.lines(folder, "metrics.jsonl")
    ]
    journal = (folder / "journal.jsonl").read_bytes()
    return {
        "step": max(steps), "fingerprint": saved["fingerprint"], "journal": journal,
        "metrics": metrics, "evaluations": jobs.lines(folder, "evaluations.jsonl"),
    }  # fmt: skip


def killed_after(folder, run: str, step: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "aquila_jax", *arguments(folder, "train", run)],
        env=jobs.environment(devices=8), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("step") and int(line.split()[1].replace(",", "")) >= step:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_the_main_job_on_gs_survives_the_loss_of_its_machine(cloud, capsys):
    assert "2 files of 2 sources" in ask(capsys, *arguments(cloud, "prepare", "whole"))
    assert "is whole already" in ask(capsys, *arguments(cloud, "prepare", "whole"))
    killed_after(cloud, "lost", 20)
    shutil.rmtree(cloud / "cache")
    assert "going on after step" in ask(capsys, *arguments(cloud, "train", "lost"))
    ask(capsys, *arguments(cloud, "train", "whole"))
    whole, lost = learned("whole"), learned("lost")
    assert whole["step"] == STEPS and len(whole["metrics"]) == STEPS
    for key in whole:
        assert lost[key] == whole[key], key

    workdir = "--workdir=gs://bucket/lost"
    assert "bits per byte" in ask(capsys, "evaluate", workdir)
    assert "gs://bucket/lost/report.html" in ask(capsys, "report", workdir)
    assert b"<html" in places.read_bytes("gs://bucket/lost/report.html")[:500].lower()
    assert f"{STEPS} steps lead to the same" in ask(capsys, "replay", workdir)
    assert "lines" in ask(capsys, "trace", workdir, "--step=3")
    places.write_bytes("gs://bucket/begun/config.json", b"{}")
    begun = "--workdir=gs://bucket/begun"
    assert "handed in as gs://" in ask(capsys, "steer", begun, "--stop", "--author=ada")
