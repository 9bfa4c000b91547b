import dataclasses
import os

from aquila_jax.plan import cache
from aquila_jax.plan.candidates import candidates


def test_a_fingerprint_changes_with_all_that_shapes_the_program_and_nothing_else(tiny):
    first, second = candidates(tiny, 8)[:2]
    base = cache.fingerprint(tiny, first)
    renamed = dataclasses.replace(
        tiny, name="other", train=dataclasses.replace(tiny.train, seed=7, keep=9)
    )
    assert cache.fingerprint(renamed, first) == base
    wider = dataclasses.replace(tiny, model=dataclasses.replace(tiny.model, ffn=768))
    longer = dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, length=512))
    others = [(tiny, second), (wider, first), (longer, first)]
    assert len({base, *(cache.fingerprint(*other) for other in others)}) == 4


def test_the_code_itself_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    before = cache.sources()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "layers.py").write_text("x = 1")
    monkeypatch.setattr(cache.aquila_jax, "__file__", str(tmp_path / "__init__.py"))
    one = cache.sources()
    (tmp_path / "model" / "layers.py").write_text("x = 2")
    assert len({before, one, cache.sources()}) == 3


def test_reports_come_back_and_damaged_ones_count_as_missing(tmp_path):
    assert cache.read(tmp_path, "key") is None
    cache.write(tmp_path, "key", {"fits": True, "needed": 1.5})
    assert cache.read(tmp_path, "key") == {"fits": True, "needed": 1.5}
    assert os.listdir(tmp_path) == ["key.json"]
    (tmp_path / "key.json").write_text('{"fits": tr')
    assert cache.read(tmp_path, "key") is None


def test_a_package_that_is_missing_is_a_version_of_its_own():
    assert cache.versions()["jax"] and cache._version("no-such-package") is None
