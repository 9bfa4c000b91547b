"""A store of cleaned sources: the same bytes however often it was stopped, everything on account."""

import dataclasses
import json
import random
import sys

import pytest

from aquila_jax.dmu import cleaning, optional
from aquila_jax.dmu.clean import pipeline
from aquila_jax.dmu.clean.settings import Settings
from aquila_jax.dmu.manifest import read_manifest
from aquila_jax.dmu.prepare import PrepareSettings, prepare
from aquila_jax.dmu.sources import Source
from aquila_jax.dmu.store import open_store
from aquila_jax.dmu.tokenizer import decode, load_tokenizer, train_tokenizer
from tests.dmu.clean.test_extract import PAGE, pdf
from tests.dmu.clean.test_pipeline import chinese, english


def quiet(line):
    del line


def contents(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_of_the_folder_for_cleaning_only_its_own_work_is_removed(tmp_path):
    for name in ("k" * 16, "other"):
        (tmp_path / "clean" / name).mkdir(parents=True)
    settings = Settings(folder=str(tmp_path / "clean"))
    cleaning.forget(settings, "k" * 64)
    assert [path.name for path in (tmp_path / "clean").iterdir()] == ["other"]
    cleaning.forget(settings, "other")
    assert not (tmp_path / "clean").exists()


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A bilingual crawl without languages, with copies, a blocked site, pages and PDF files."""
    rng, folder = random.Random(1), tmp_path_factory.mktemp("raw")
    texts = [(english if at % 2 else chinese)(rng) for at in range(24)]
    rows = [{"text": text, "id": f"d{at}", "source": "forum"} for at, text in enumerate(texts)]
    rows += [{"text": text, "id": f"copy{at}"} for at, text in enumerate(texts[:5])]
    rows += [{"text": english(rng), "id": "bad", "source": "https://news.bad.com/x"}]
    rows += [{"text": english(rng) + " Write to ann.lee@mail.example.net now.", "id": "mail"}]
    (folder / "web").mkdir()
    lines = [json.dumps(row) for row in rows] + ["{broken"]
    (folder / "web" / "a.jsonl").write_text("\n".join(lines))
    (folder / "pages").mkdir()
    (folder / "pages" / "a.html").write_text(PAGE)
    (folder / "pages" / "b.pdf").write_bytes(pdf("secret", password="x"))
    (folder / "held.jsonl").write_text(json.dumps(rows[1]) + "\n")
    (folder / "t.model").write_bytes(train_tokenizer(["the cat of a river " * 50], 280))
    return folder, texts


def settings_of(raw, work, **changes) -> PrepareSettings:
    folder, _ = raw
    sources = (
        Source(name="web", language="", paths=(f"{folder}/web",)),
        Source(name="pages", language="en", paths=(f"{folder}/pages",)),
        Source(name="web_en", language="en", paths=(f"{folder}/held.jsonl",), split="heldout"),
    )
    clean = Settings(
        folder=str(work), english=None, chinese=None, garbled=None, poison=None,
        blocked=("bad.com",), traditional="together", shard_characters=4000,
    )  # fmt: skip
    known = {"sources": sources, "vocab_size": 280, "tokenizer": str(folder / "t.model")}
    return PrepareSettings(
        **known | {"heldout": 0.0, "max_flaws": 0.5, "processes": 1, "clean": clean} | changes
    )


@pytest.fixture(scope="module")
def made(raw, tmp_path_factory):
    place = tmp_path_factory.mktemp("made")
    lines = []
    prepare(settings_of(raw, place / "work"), str(place / "store"), lines.append)
    return place, lines


def test_a_crawl_becomes_a_domain_for_each_language_and_nothing_is_left_behind(made, raw):
    place, lines = made
    store = open_store(str(place / "store"))
    assert store.domains == ("web_en", "web_zh", "pages")
    assert [info.language for info in store.manifest.train] == ["en", "zh", "en"]
    assert (
        store.info("train", "web_en").documents == 12
    )  # of 12 one is held out; one has an address
    assert store.info("train", "web_zh").documents == 12
    assert store.info("heldout", "web_en").documents == 1
    assert {path.name for path in place.iterdir()} == {"store"}
    assert "cleaning: 25 of 32 documents stay" in lines


def test_the_manifest_carries_the_account_and_documents_where_they_came_from(made, raw):
    place, _ = made
    folder, texts = raw
    store = open_store(str(place / "store"))
    account = store.manifest.cleaning
    assert account["rules"]["source_blocked"]["documents"] == 1
    assert account["rules"]["held_out"]["documents"] == 2  # and its copy
    assert account["duplicates"]["exact"] == 4 and account["masked"] == {"email": 1}
    assert account["unreadable"] == {f"{folder}/web/a.jsonl": 1, f"{folder}/pages/b.pdf": 1}
    web, pages, held = store.manifest.sources
    assert (web.name, web.documents, web.cleaned, web.flaws) == ("web", 24, 7, 1)
    assert (pages.files, pages.documents, pages.flaws) == (2, 1, 1)
    assert "encrypted; decrypt it" in pages.first_flaws[0] and held.split == "heldout"
    tokenizer = load_tokenizer(store.path + "/tokenizer.model")
    for index in range(12):
        where = store.provenance("train", "web_zh", index)
        assert where["file"] == f"{folder}/web/a.jsonl"
        text = decode(tokenizer, store.document("train", "web_zh", index))
        assert text == texts[where["line"] - 1] and where["id"] == f"d{where['line'] - 1}"


def test_stopped_again_and_again_it_makes_the_same_bytes(made, raw, tmp_path, monkeypatch):
    """Stopped in the middle of each stage, and between cleaning and tokenising."""
    settings, whole = settings_of(raw, tmp_path / "work"), pipeline.engines.run
    for stage in ("screen", "signature", "clusters", "clean"):

        def stop(steps, tasks, logs, stage=stage, **how):
            if logs.endswith(f"/{stage}"):
                whole(steps, max(1, tasks // 2), logs, **how)
                raise KeyboardInterrupt
            whole(steps, tasks, logs, **how)

        monkeypatch.setattr(pipeline.engines, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(settings, str(tmp_path / "store"), quiet)
    monkeypatch.setattr(pipeline.engines, "run", whole)
    prepare(settings, str(tmp_path / "store"), quiet)
    assert contents(tmp_path / "store") == contents(made[0] / "store")


def test_a_store_of_another_cleaning_is_not_taken(made, raw):
    place, _ = made
    settings = settings_of(raw, place / "work")
    assert prepare(settings, str(place / "store"), quiet) == read_manifest(str(place / "store"))
    other = dataclasses.replace(settings.clean, blocked=())
    for clean in (None, other):
        sources = settings.sources[1:] if clean is None else settings.sources
        changed = dataclasses.replace(settings, clean=clean, sources=sources)
        with pytest.raises(ValueError, match="a token store of other documents or settings"):
            prepare(changed, str(place / "store"), quiet)


@pytest.mark.parametrize(
    "change, match",
    [
        ({"blocked": ("forum", "bad.com", "web")}, r"source web \(train\): no document is left"),
        ({"folder": "memory://work"}, "must be a folder of this machine"),
    ],
)
def test_a_cleaning_that_cannot_be_says_why(raw, tmp_path, change, match):
    settings = settings_of(raw, tmp_path / "work")
    settings = dataclasses.replace(settings, clean=dataclasses.replace(settings.clean, **change))
    with pytest.raises(ValueError, match=match):
        prepare(settings, str(tmp_path / "store"), quiet)
    assert not (tmp_path / "store" / "manifest.json").exists()


def test_too_many_places_without_a_document_stop_it(raw, tmp_path):
    settings = settings_of(raw, tmp_path / "work", max_flaws=0.1)
    with pytest.raises(ValueError, match=r"source pages \(train\): 1 of 2 documents are unreada"):
        prepare(settings, str(tmp_path / "store"), quiet)


def test_without_the_libraries_there_is_one_sentence(raw, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datatrove.pipeline", None)
    for name in [name for name in sys.modules if name.startswith("aquila_jax.dmu.clean.pipeline")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        ValueError, match=r"prepare.clean needs the package datatrove, .*'.\[clean\]"
    ):
        prepare(settings_of(raw, tmp_path / "work"), str(tmp_path / "store"), quiet)
    with pytest.raises(ValueError, match="reading a.pdf needs the package nowhere"):
        optional.load("nowhere", "reading a.pdf")


def test_a_source_without_a_language_needs_the_cleaning(raw, tmp_path):
    with pytest.raises(ValueError, match=r"source web \(train\) names no language"):
        settings_of(raw, tmp_path, clean=None)


def test_evaluation_sets_are_part_of_what_a_cleaning_is(tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text("{}\n")
    leaks = dataclasses.replace(Settings().leaks, evaluations=(str(file),))
    settings = dataclasses.replace(Settings(), leaks=leaks)
    before = cleaning.fingerprint(settings)
    (tmp_path / "moved.jsonl").write_text("{}\n")
    leaks = dataclasses.replace(leaks, evaluations=(str(tmp_path / "moved.jsonl"),))
    assert cleaning.fingerprint(dataclasses.replace(settings, leaks=leaks)) == before
    file.write_text("{} \n")
    assert cleaning.fingerprint(settings) != before
