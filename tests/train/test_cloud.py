"""A run whose folder lies in storage: it can lose its machine, and ends as one that never did."""

import json
import pathlib
import shutil

import pytest

from aquila_jax.dmu import places, staging
from aquila_jax.train import inbox, orders
from tests.train import faults, small

LOCAL = ("time", "step_seconds", "tokens_per_second", "mfu")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """What a machine has and loses."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def learned(address: str) -> dict:
    """What must not depend on when a run was stopped."""
    folder = staging.fetch(staging.stage(address, "look"))
    metrics = [
        {key: value for key, value in line.items() if key not in LOCAL}
        for line in small.lines(folder, "metrics")
    ]
    step, fingerprint = small.last_checkpoint(pathlib.Path(places.for_orbax(address)))
    journal = (folder / "journal.jsonl").read_bytes()
    return {"step": step, "fingerprint": fingerprint, "journal": journal, "metrics": metrics}


def test_a_lost_machine_changes_nothing(runs, tmp_path, cache, monkeypatch):
    """Neither does it lose what a person, somewhere else, asked for before."""
    config = small.config(runs / "store")
    whole, lost = f"file://{tmp_path}/whole", f"file://{tmp_path}/lost"
    for address in (whole, lost):
        order = {"version": orders.VERSION, "author": "ada", "control": {"clip_norm": 0.5}}
        places.write_bytes(f"{address}/steer/inbox/1.json", json.dumps(order).encode())
    assert small.run(config, staging.stage(whole, "run")) == "finished"
    with monkeypatch.context() as patch:
        faults.die(patch, first=45 * small.BATCH)
        with pytest.raises(faults.Died):
            small.run(config, staging.stage(lost, "run"))
    shutil.rmtree(cache)
    assert small.run(config, staging.stage(lost, "run")) == "finished"
    assert learned(lost) == learned(whole)
    folder = staging.stage(lost, "look")
    kinds = [line["kind"] for line in small.lines(folder, "events")]
    assert kinds[0] == "start" and "resume" in kinds and kinds[-1] == "finish"
    assert list(places.sizes(f"{lost}/steer")) == ["accepted/0000.json"]
    assert any("ada" in line and "clip_norm" in line for line in inbox.in_words(folder))

    with pytest.raises(ValueError, match=f"{lost} belongs to another configuration"):
        small.run(small.change(config, "train", seed=7), staging.stage(lost, "run"))


def test_an_order_is_handed_in_where_the_run_lives():
    folder = staging.stage("memory://cloud/run", "look")
    with pytest.raises(ValueError, match="memory://cloud/run is not the folder of a run"):
        inbox.hand_in(folder, {"author": "ada"})
    places.write_bytes("memory://cloud/run/config.json", b"{}")
    file = inbox.hand_in(folder, {"author": "ada"})
    assert file.startswith("memory://cloud/run/steer/inbox/")
    assert json.loads(places.read_bytes(file)) == {"version": orders.VERSION, "author": "ada"}
