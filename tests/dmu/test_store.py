"""A store reads what went in, anywhere, and notices what is wrong."""

import json
import re
import shutil

import numpy as np
import pytest

from aquila_jax.cli import main
from aquila_jax.dmu.manifest import sizes
from aquila_jax.dmu.store import TOKENIZER, open_store, require_tokenizer, verify
from aquila_jax.dmu.tokenizer import BOS, EOS, decode, encode_batch, load_tokenizer


@pytest.fixture
def store(made_store):
    return open_store(str(made_store))


@pytest.fixture
def copy(made_store, tmp_path):
    shutil.copytree(made_store, tmp_path / "copy")
    return tmp_path / "copy"


def flat(store, split, domain):
    count = store.info(split, domain).documents
    return np.concatenate([store.document(split, domain, i) for i in range(count)])


def test_documents_are_the_texts_between_bos_and_eos(store, made_sources, made_store):
    tokenizer = load_tokenizer(str(made_store / TOKENIZER))
    texts = made_sources[1]["zh"]
    assert store.info("train", "zh_made").documents == len(texts)
    for index, (text, ids) in enumerate(zip(texts, encode_batch(tokenizer, texts), strict=True)):
        document = store.document("train", "zh_made", index)
        assert document.tolist() == [BOS, *ids, EOS]
        assert decode(tokenizer, document) == text


def test_counts_of_the_manifest_are_those_of_the_texts(store, made_sources):
    for language, texts in made_sources[1].items():
        infos = [
            info
            for split in ("train", "heldout")
            for info in store.manifest.split(split)
            if info.language == language and not (split == "heldout" and language == "zh")
        ]
        assert sum(info.documents for info in infos) == len(texts)
        assert sum(info.bytes for info in infos) == sum(len(text.encode()) for text in texts)
        assert sum(info.characters for info in infos) == sum(map(len, texts))
    for split in ("train", "heldout"):
        for info in store.manifest.split(split):
            assert info.tokens == store.offsets(split, info.name)[-1]
            told = sizes([info])
            assert 0 < told["tokens_per_byte"] <= told["tokens_per_character"]


def test_spans_anywhere_are_those_of_the_documents_and_zero_past_the_end(store):
    rng = np.random.default_rng(0)
    for split in ("train", "heldout"):
        for domain in store.names(split):
            line = flat(store, split, domain)
            for length in (1, 7, 256, len(line) + 5):
                starts = np.concatenate([rng.integers(0, len(line) + 1, 20), [0, len(line)]])
                expected = np.stack([np.pad(line, (0, length + 1))[s : s + length] for s in starts])
                spans = store.read(split, domain, starts, length)
                assert spans.dtype == np.int32
                np.testing.assert_array_equal(spans, expected)


def test_one_gather_over_all_domains_is_the_reads_of_each(store):
    rng = np.random.default_rng(1)
    domains = rng.integers(0, len(store.domains), 64)
    starts = np.array(
        [rng.integers(0, store.info("train", store.domains[d]).tokens) for d in domains]
    )
    gathered = store.gather("train", domains, starts, length=300)
    for row, (domain, start) in enumerate(zip(domains, starts, strict=True)):
        (expected,) = store.read("train", store.domains[domain], [start], 300)
        np.testing.assert_array_equal(gathered[row], expected)
    assert store.gather("train", domains[:0], starts[:0], length=5).shape == (0, 5)


def test_provenance_leads_back_to_the_line(store, made_sources):
    for domain, language in (("en_made", "en"), ("code_made", "code")):
        info = store.info("train", domain)
        origins = [store.provenance("train", domain, i) for i in range(info.documents)]
        held = store.info("heldout", domain).documents
        origins += [store.provenance("heldout", domain, i) for i in range(held)]
        assert len({origin["id"] for origin in origins}) == len(made_sources[1][language])
        assert all(origin["source"] == "made up" for origin in origins)
        assert {origin["line"] for origin in origins} == set(range(1, 41))
        assert all(f"/{language}/train-" in origin["file"] for origin in origins)


def test_what_is_not_there_is_one_sentence(store):
    with pytest.raises(ValueError, match="has no heldout domain 'fr'; it has"):
        store.read("heldout", "fr", [0], 1)
    end = store.info("train", "en_made").tokens
    for start in (-1, end + 1):
        with pytest.raises(ValueError, match=rf"start {start} is not in 0..{end} of train/en_made"):
            store.read("train", "en_made", [0, start], 4)


def test_a_whole_store_is_verified_to_its_last_byte(made_store, capsys):
    assert main(["verify", "--data", str(made_store)]) == 0
    progress, told = capsys.readouterr().out.splitlines()
    size = sum(open_store(str(made_store)).manifest.files.values()) / 1e6
    assert progress.startswith(f"verify: 100%, {size:.1f} of {size:.1f} MB")
    assert told == f"{made_store} is what was written"


def test_a_store_knows_its_tokenizer(made_store):
    store = open_store(str(made_store))
    require_tokenizer(store, load_tokenizer(str(made_store / TOKENIZER)).sha256)
    with pytest.raises(ValueError, match="was made with tokenizer .* but 000000000000 is in use"):
        require_tokenizer(store, "0" * 64)


def test_without_manifest_a_folder_is_no_store(copy):
    (copy / "manifest.json").unlink()
    with pytest.raises(ValueError, match="no whole token store, it has no manifest.json"):
        open_store(str(copy))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 99}'])
def test_a_manifest_that_cannot_be_read_says_so(copy, content):
    (copy / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match="manifest.json cannot be read"):
        open_store(str(copy))


def test_files_of_another_size_are_noticed_at_open(copy):
    shard = copy / "train" / "en_made" / "tokens" / "c" / "0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=f"tokens/c/0 has {len(whole) - 1} bytes but"):
        open_store(str(copy))
    shard.unlink()
    with pytest.raises(ValueError, match="tokens/c/0 is missing but"):
        open_store(str(copy))


def test_counts_that_disagree_with_the_arrays_are_noticed(copy):
    record = json.loads((copy / "manifest.json").read_text())
    record["train"][0]["tokens"] += 1
    (copy / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="but the manifest says"):
        open_store(str(copy)).read("train", record["train"][0]["name"], [0], 1)


@pytest.mark.parametrize(
    "file, name",
    [
        (TOKENIZER, "tokenizer.model is not the one"),
        ("heldout/zh_made/offsets/c/0", "zh_made is not what was written"),
        ("train/code_made/provenance/c/0", "code_made (cannot be read|is not what was written)"),
    ],
)
def test_verify_finds_a_changed_byte_of_any_file(copy, file, name, capsys):
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 3] ^= 4
    (copy / file).write_bytes(content)
    assert main(["verify", "--data", str(copy)]) == 1
    assert re.search(name, capsys.readouterr().err)


def test_verify_finds_another_domain_in_its_place(copy):
    record = json.loads((copy / "manifest.json").read_text())
    record["train"][0]["sha256"] = record["train"][1]["sha256"]
    (copy / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="its sha256 differs"):
        verify(open_store(str(copy)), print)
