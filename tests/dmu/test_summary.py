"""The summary tells counts of each domain and language, and what was left out."""

import dataclasses

from aquila_jax.dmu.manifest import read_manifest
from aquila_jax.dmu.summary import summarise


def test_a_line_for_each_domain_and_language_and_their_sums(made_store):
    manifest = read_manifest(str(made_store))
    half = dataclasses.replace(manifest.train[0], name="more", documents=1, tokens=102, bytes=200)
    manifest = dataclasses.replace(manifest, train=(*manifest.train, half))
    lines = summarise(manifest, 0.0)
    assert sum("language" not in line for line in lines) == len(manifest.train + manifest.heldout)
    (english,) = [line for line in lines if line.startswith("train   language en ")]
    documents = manifest.train[0].documents + 1
    tokens, size = manifest.train[0].tokens + 102, manifest.train[0].bytes + 200
    assert f" {documents} documents" in english and f" {tokens:,} tokens" in english
    assert f"tokens per byte {(tokens - 2 * documents) / size:.4f}" in english


def test_what_was_left_out_is_told(made_store):
    manifest = read_manifest(str(made_store))
    worse = dataclasses.replace(manifest.sources[0], cleaned=7, flaws=2, first_flaws=("f:1 (x)",))
    *_, cleaned, flawed = summarise(dataclasses.replace(manifest, sources=(worse,)), 0.2)
    assert cleaned == "en_made (train): cleaning took 7 documents"
    assert flawed == "en_made (train): 2 unreadable documents left out, first at f:1 (x)"


def test_a_domain_that_holds_nothing_out_is_told(made_store):
    manifest = read_manifest(str(made_store))
    first, *rest = manifest.heldout
    less = dataclasses.replace(manifest, heldout=tuple(rest))
    told = f"{first.name}: nothing is held out, since heldout=0.2 took none of its "
    assert summarise(less, 0.2)[-1].startswith(told)
    for made, share in ((less, 0.0), (manifest, 0.2)):
        assert not [line for line in summarise(made, share) if "nothing is held out" in line]
