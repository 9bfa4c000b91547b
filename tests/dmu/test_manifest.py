"""A manifest is read as it was written."""

import dataclasses
import json

import pytest

from aquila_jax.dmu.manifest import VERSION, read_manifest, sizes, write_manifest


def test_a_manifest_comes_back(made_store, tmp_path):
    manifest = read_manifest(str(made_store))
    write_manifest(str(tmp_path), manifest)
    assert read_manifest(str(tmp_path)) == manifest
    assert (tmp_path / "manifest.json").read_bytes() == (made_store / "manifest.json").read_bytes()
    assert manifest.split("train") == manifest.train != manifest.split("heldout")


def test_another_version_is_refused_with_both_numbers(made_store, tmp_path):
    record = json.loads((made_store / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(record | {"version": VERSION + 1}))
    with pytest.raises(ValueError, match=f"version is {VERSION + 1}, this program reads {VERSION}"):
        read_manifest(str(tmp_path))


def test_tokens_per_byte_leave_out_bos_and_eos(made_store):
    info = dataclasses.replace(
        read_manifest(str(made_store)).train[0], documents=5, tokens=40, bytes=60, characters=20
    )
    one, two = sizes([info]), sizes([info, dataclasses.replace(info, bytes=180)])
    assert one["tokens_per_byte"] == 0.5 and one["tokens_per_character"] == 1.5
    assert two["documents"] == 10 and two["tokens_per_byte"] == 0.25
