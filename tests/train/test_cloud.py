"""A run whose folder lies in storage: it can lose its machine, and ends as one that never did."""

import shutil

import pytest

from aquila_jax.dmu import places, staging
from aquila_jax.train import inbox
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
    step, fingerprint = small.last_checkpoint(places_of(address))
    journal = (folder / "journal.jsonl").read_bytes()
    return {"step": step, "fingerprint": fingerprint, "journal": journal, "metrics": metrics}


def places_of(address: str):
    return staging.Path(places.for_orbax(address))


def test_a_lost_machine_changes_nothing(runs, tmp_path, cache, monkeypatch):
    config = small.config(runs / "store")
    whole, lost = f"file://{tmp_path}/whole", f"file://{tmp_path}/lost"
    assert small.run(config, staging.stage(whole, "run")) == "finished"
    with monkeypatch.context() as patch:
        faults.die(patch, first=45 * small.BATCH)
        with pytest.raises(faults.Died):
            small.run(config, staging.stage(lost, "run"))
    shutil.rmtree(cache)
    assert small.run(config, staging.stage(lost, "run")) == "finished"
    assert learned(lost) == learned(whole)
    kinds = [line["kind"] for line in small.lines(staging.stage(lost, "look"), "events")]
    assert kinds[0] == "start" and "resume" in kinds and kinds[-1] == "finish"

    with pytest.raises(ValueError, match=f"{lost} belongs to another configuration"):
        small.run(small.change(config, "train", seed=7), staging.stage(lost, "run"))


def test_a_person_steers_from_elsewhere(runs, tmp_path, monkeypatch):
    config = small.config(runs / "store")
    address = f"file://{tmp_path}/steered"
    monkeypatch.setattr(inbox, "REST", 0.0)
    places.write_bytes(f"{address}/config.json", b"{}")
    order = {"author": "ada", "why": "try", "control": {"clip_norm": 0.5}}
    file = inbox.hand_in(staging.stage(address, "look"), order)
    assert file.startswith(f"{address}/steer/inbox/")
    places.remove(f"{address}/config.json")
    assert small.run(config, staging.stage(address, "run")) == "finished"
    assert list(places.sizes(f"{address}/steer")) == ["accepted/0000.json"]
    words = inbox.in_words(staging.fetch(staging.stage(address, "look")))
    assert any("ada" in line and "clip_norm" in line for line in words)
