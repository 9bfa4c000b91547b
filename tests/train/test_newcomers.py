"""A store joins a running job: refused when it cannot, the same after a stop and through a rewind."""

import dataclasses
import json
import math
import shutil

import pytest

from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.tokenizer import train_tokenizer
from aquila_jax.train import host as hosts
from aquila_jax.train import newcomers, orders
from aquila_jax.train.mentor import Mentor
from tests.train import eventful, small


@pytest.fixture(scope="module")
def config(runs):
    return small.config(runs / "store")


def test_the_new_domain_is_read_from_then_on_also_after_a_rewind(eventful_run):
    workdir = eventful_run[0]
    lines = small.lines(workdir, "metrics")
    before = [line for line in lines if line["timeline"] == 0 and line["step"] <= eventful.JOINED]
    assert not any("zh_new" in line["domain_loss"] for line in before)
    after = [line for line in lines if line["timeline"] == 1]
    assert after[0]["step"] == 9 and lines[-1]["step"] == small.STEPS
    journal = small.lines(workdir, "journal")
    wanted = [line["weights"]["zh_new"] for line in journal
              if line["kind"] == "mixture" and line["step"] >= eventful.JOINED]  # fmt: skip
    assert 0.03 < min(wanted) <= max(wanted) < 0.3
    read = sum(line["domain_tokens"].get("zh_new", 0) for line in after)
    total = sum(sum(line["domain_tokens"].values()) for line in after)
    assert min(wanted) - 0.03 < read / total < max(wanted) + 0.03
    held = [line for line in small.lines(workdir, "evaluations") if line["kind"] == "heldout"]
    assert "zh_new" in held[-1]["domains"] and "zh_new" not in held[0]["domains"]


def test_bad_sources_are_refused_with_a_sentence_and_the_job_goes_on(eventful_run):
    refused = [line for line in small.lines(eventful_run[0], "events") if line["kind"] == "refused"]
    assert "nowhere is no whole token store" in refused[0]["why"]
    assert "are in the run already; prepare the source under a new name" in refused[1]["why"]


def test_a_source_that_has_vanished_is_one_sentence(eventful_run, new, runs):
    shutil.move(new, runs / "moved")
    try:
        with pytest.raises(ValueError, match="new is no whole token store"):
            small.run(eventful.config(runs), eventful_run[1])
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
    other = eventful.make_new(
        tmp_path / "a", runs, tokenizer=str(tmp_path / "t.model"), vocab_size=280
    )
    with pytest.raises(ValueError, match="was made with tokenizer"):
        newcomers.inspect(config, store, other)
    (tmp_path / "tiny.jsonl").write_text('{"text": "天"}\n')
    tiny = eventful.make_new(
        tmp_path / "b", runs, heldout=0.0, source={"paths": (f"{tmp_path}/tiny.jsonl",)}
    )
    with pytest.raises(ValueError, match=r"domains \['zh_new'\] have fewer tokens than one sequen"):
        newcomers.inspect(config, store, tiny)


def test_the_first_step_with_a_newcomer_has_no_limit_made_without_it(config):
    sizes = {"old": 1000, "older": 1000}
    host = hosts.start(config, Mentor(config, dict.fromkeys(sizes, "en"), {}), sizes)
    host = dataclasses.replace(host, control=host.control._replace(loss_limit=4.0))
    same, _ = hosts.remix(host, {"old": 0.7, "older": 0.3})
    assert same.control.loss_limit == 4.0
    told = {"domains": {"new": {"sequences": 1000}}}
    joined = dataclasses.replace(host, joined=(told,))
    after, _ = hosts.remix(joined, {"old": 0.7, "older": 0.2, "new": 0.1})
    assert after.control.loss_limit == math.inf


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
            orders.parse(text, host, languages, source=source)
        return
    order = orders.parse(text, host, languages, source=source)
    size = source["domains"]["zh_new"]["sequences"]
    assert order["weights"]["zh_new"] == pytest.approx(size / (size + 1000 * len(languages)))
    after, lines = orders.apply(host, order)
    assert after.ledger.domains[-1] == "zh_new" and after.joined == (source,)
    assert lines[0]["add_source"] == source
    assert hosts.from_json(json.loads(json.dumps(hosts.to_json(after)))).joined == (source,)
