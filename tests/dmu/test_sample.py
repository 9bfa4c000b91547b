"""The generated corpus: equal bytes for equal seeds, whole or not there."""

import json
import time

import pytest

from aquila_jax.dmu import sample

SEED = 3


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "corpus"
    started = time.process_time()
    counts = sample.write_sample(folder, seed=SEED)
    assert time.process_time() - started < 10
    assert counts["questions"] == len(rows(folder / "questions.jsonl"))
    return folder


@pytest.fixture(scope="module")
def documents(folder):
    """All documents by split and domain."""
    return {
        split: {
            domain.name: [row for path in sorted(paths) for row in rows(path)]
            for domain in sample.DOMAINS
            if (paths := list((folder / domain.name).glob(f"{split}*.jsonl")))
        }
        for split in ("train", "heldout")
    }


def test_the_seed_decides_every_byte(tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        sample.write_sample(tmp_path / name, seed=seed, megabytes=0.2)
    one, two, three = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert all(one[path] != three[path] for path in set(one) & set(three))


def test_all_domains_are_there_and_sized(documents, folder):
    names = [domain.name for domain in sample.DOMAINS]
    assert list(documents["train"]) == list(documents["heldout"]) == names
    assert {domain.language for domain in sample.DOMAINS} == {"en", "zh", "code", "en-zh"}
    size = sum(len(data) for path, data in files(folder).items() if path != "questions.jsonl")
    assert 4e6 < size < 8e6
    for domain in sample.DOMAINS:
        train, held_out = documents["train"][domain.name], documents["heldout"][domain.name]
        assert len(held_out) == (len(train) + len(held_out)) // sample.HELD_OUT_EVERY >= 20
        assert all(row["lang"] == domain.language for row in train + held_out)
        assert all(set(row) == {"text", "id", "lang"} for row in train + held_out)


def test_nothing_stands_twice(documents):
    everything = [row for split in documents.values() for rows in split.values() for row in rows]
    assert len({row["id"] for row in everything}) == len(everything)
    assert len({row["text"] for row in everything}) == len(everything)


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    (tmp_path / "corpus").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        sample.write_sample(tmp_path / "corpus")
    assert not list((tmp_path / "corpus").iterdir())


def test_text_of_another_seed_or_size_is_not_taken_for_what_was_asked(tmp_path):
    sample.write_sample(tmp_path / "s", seed=1, megabytes=0.05)
    sample.require(tmp_path / "s", seed=1, megabytes=0.05)
    for other in ({"seed": 2, "megabytes": 0.05}, {"seed": 1, "megabytes": 0.1}):
        with pytest.raises(ValueError, match="remove it, or set data.seed"):
            sample.require(tmp_path / "s", **other)


def test_what_an_interrupted_run_left_is_swept_away(tmp_path):
    (tmp_path / ".corpus.partial" / "en_facts").mkdir(parents=True)
    (tmp_path / ".corpus.partial" / "rest").write_text("half")
    sample.write_sample(tmp_path / "corpus", megabytes=0.05)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]
    assert not (tmp_path / "corpus" / "rest").exists()


def test_more_text_than_there_can_be_is_an_error():
    domain = sample.Domain("dull", "en", 1.0, lambda draw, seed: str(draw.randrange(10)))
    with pytest.raises(ValueError, match="domain dull has no more than about 10 bytes"):
        list(sample.documents(domain, seed=0, size=1000))
