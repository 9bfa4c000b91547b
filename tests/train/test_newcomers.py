"""A store joins a running job: refused when it cannot, the same after a stop and through a rewind."""

import json
import pathlib
import shutil

import pytest

from aquila_jax.config import plain
from aquila_jax.dmu.prepare import PrepareSettings, prepare
from aquila_jax.dmu.sources import Source
from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.tokenizer import train_tokenizer
from aquila_jax.train import host as hosts
from aquila_jax.train import inbox, newcomers, orders
from aquila_jax.train.mentor import Mentor
from aquila_jax.train.replay import replay
from tests.train import faults, small


def make(folder: pathlib.Path, runs: pathlib.Path, **changes) -> str:
    """A store of Chinese stories with the tokenizer of the run, or another."""
    given = {"name": "zh_new", "paths": (str(runs / "sample" / "zh_stories" / "train-*.jsonl"),)}
    source = Source(language="zh", **given | changes.pop("source", {}))
    settings = {"tokenizer": str(runs / "store" / "tokenizer.model"), "vocab_size": 512}
    settings |= {"heldout": 0.1, "processes": 1} | changes
    prepare(PrepareSettings(sources=(source,), **settings), str(folder), lambda line: None)
    return str(folder)


@pytest.fixture(scope="module")
def new(runs):
    return make(runs / "new", runs)


@pytest.fixture(scope="module")
def config(runs):
    return small.config(runs / "store", mode="act")


@pytest.fixture(scope="module")
def joined(runs, new, config):
    """Twice: at one go, and killed after the join. Orders are taken at steps 0, 5, 10 and 15."""
    for name in ("joined", "joined_broken"):
        workdir = runs / name
        workdir.mkdir()
        (workdir / "config.json").write_text(json.dumps(plain(config)))
        for order in (
            {"add_source": str(runs / "nowhere")},
            {"add_source": str(runs / "store")},
            {"add_source": new},
            {"request": {"kind": "rewind", "arguments": {"to_step": 8}}},
        ):
            inbox.hand_in(workdir, {"author": "mei", "why": "more stories"} | order)
    assert small.run(config, runs / "joined") == "finished"
    with pytest.MonkeyPatch.context() as patch:
        faults.die(patch, 30 * small.BATCH)
        with pytest.raises(faults.Died):
            small.run(config, runs / "joined_broken")
    assert small.run(config, runs / "joined_broken") == "finished"
    return runs / "joined", runs / "joined_broken"


def test_the_new_domain_is_read_from_then_on_also_after_a_rewind(joined, new):
    lines = small.lines(joined[0], "metrics")
    before = [line for line in lines if line["timeline"] == 0 and line["step"] <= 10]
    assert not any("zh_new" in line["domain_loss"] for line in before)
    after = [line for line in lines if line["timeline"] == 1]
    assert after[0]["step"] == 9 and lines[-1]["step"] == small.STEPS
    read = sum(line["domain_tokens"].get("zh_new", 0) for line in after)
    share = small.lines(joined[0], "journal")
    [mixture, *_] = [line for line in share if line["kind"] == "mixture" and line["step"] == 10]
    wanted = mixture["weights"]["zh_new"]
    assert 0.03 < wanted < 0.3
    total = sum(sum(line["domain_tokens"].values()) for line in after)
    assert read / total == pytest.approx(wanted, abs=0.03)
    held = [line for line in small.lines(joined[0], "evaluations") if line["kind"] == "heldout"]
    assert "zh_new" in held[-1]["domains"] and "zh_new" not in held[0]["domains"]


def test_bad_sources_are_refused_with_a_sentence_and_the_job_goes_on(joined):
    refused = [line for line in small.lines(joined[0], "events") if line["kind"] == "refused"]
    assert "nowhere is no whole token store" in refused[0]["why"]
    assert "are in the run already; prepare the source under a new name" in refused[1]["why"]


def test_resumed_equals_uninterrupted_and_replays(joined):
    whole, broken = joined
    assert small.losses(whole) == small.losses(broken)
    assert (whole / "journal.jsonl").read_bytes() == (broken / "journal.jsonl").read_bytes()
    assert small.last_checkpoint(whole) == small.last_checkpoint(broken)
    assert replay(whole).lines == len(small.lines(whole, "journal"))


def test_a_source_that_has_vanished_is_one_sentence(joined, new, config, runs, tmp_path):
    """Also one that vanishes while the run reads it: see `arrays.collect`."""
    shutil.copytree(joined[1], tmp_path / "run")
    for step in (40, 60):
        shutil.rmtree(tmp_path / "run" / "checkpoints" / str(step), ignore_errors=True)
    shutil.move(new, runs / "moved")
    try:
        with pytest.raises(ValueError, match="new is no whole token store"):
            small.run(config, tmp_path / "run")
    finally:
        shutil.move(runs / "moved", new)


def test_a_store_whose_files_vanish_says_so_while_it_is_read(new, tmp_path):
    shutil.copytree(new, tmp_path / "new")
    store = open_store(str(tmp_path / "new"))
    shutil.rmtree(tmp_path / "new" / "train" / "zh_new" / "tokens" / "c")
    with pytest.raises(ValueError, match="its source has vanished; put it back"):
        store.read("train", "zh_new", [0], 4)


def test_a_store_that_cannot_join_says_why(runs, config, tmp_path, new):
    store = open_store(config.data.store)
    (tmp_path / "t.model").write_bytes(train_tokenizer(["the cat of a river " * 50], 280))
    other = make(tmp_path / "a", runs, tokenizer=str(tmp_path / "t.model"), vocab_size=280)
    with pytest.raises(ValueError, match="was made with tokenizer"):
        newcomers.inspect(config, store, other)
    (tmp_path / "tiny.jsonl").write_text('{"text": "天"}\n')
    tiny = make(tmp_path / "b", runs, heldout=0.0, source={"paths": (f"{tmp_path}/tiny.jsonl",)})
    with pytest.raises(ValueError, match=r"domains \['zh_new'\] have fewer tokens than one sequen"):
        newcomers.inspect(config, store, tiny)


@pytest.mark.parametrize(
    "weights, match",
    [
        ({}, None),
        ({"zh_new": 1.0}, "must name each domain once"),
        ("zero", "not all of them 0"),
        ("nan", "must be numbers of at least 0"),
    ],
)
def test_weights_of_an_order_cover_old_and_new(runs, config, new, weights, match):
    store = open_store(config.data.store)
    source = newcomers.inspect(config, store, new)
    languages = {info.name: info.language for info in store.manifest.train}
    host = hosts.start(config, Mentor(config, languages, {}), dict.fromkeys(languages, 1000))
    if isinstance(weights, str):
        value = {"zero": 0.0, "nan": float("nan")}[weights]
        weights = dict.fromkeys([*languages, "zh_new"], value)
    text = json.dumps({"version": 1, "author": "mei", "add_source": new, "weights": weights})
    if match:
        with pytest.raises(ValueError, match=match):
            orders.parse(text, host, languages, source)
        return
    order = orders.parse(text, host, languages, source)
    size = source["domains"]["zh_new"]["sequences"]
    assert order["weights"]["zh_new"] == pytest.approx(size / (size + 1000 * len(languages)))
    after, lines = orders.apply(host, order)
    assert after.ledger.domains[-1] == "zh_new" and after.joined == (source,)
    assert lines[0]["add_source"] == source
    assert hosts.from_json(json.loads(json.dumps(hosts.to_json(after)))).joined == (source,)
