import ast
import dataclasses
import os

from aquila_jax.plan import cache
from aquila_jax.plan.candidates import candidates
from aquila_jax.train import ahead
from tests import test_shape

PACKAGE = test_shape.ROOT / "aquila_jax"


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


def test_a_source_that_is_held_out_is_no_domain_of_the_program(tiny):
    first, source = candidates(tiny, 8)[0], tiny.prepare.sources[0]

    def with_source(**changes):
        sources = (*tiny.prepare.sources, dataclasses.replace(source, **changes))
        return dataclasses.replace(tiny, prepare=dataclasses.replace(tiny.prepare, sources=sources))

    held_out, joined = with_source(split="heldout"), with_source(name="one_more")
    assert ahead.program(held_out) == ahead.program(tiny) != ahead.program(joined)
    keys = [cache.fingerprint(config, first) for config in (tiny, held_out, joined)]
    assert keys[0] == keys[1] != keys[2]


def imported(file):
    """The files of the package that a file imports, and those that they import."""
    names = set(test_shape.imports(ast.parse(file.read_text(encoding="utf-8"))))
    found = {PACKAGE.parent / f"{name.replace('.', '/')}.py" for name in names}
    return found & set(test_shape.FILES)


def test_the_fingerprint_covers_the_step_and_what_judges_it():
    """All that the step imports; of its judges the planner's own files, but those that only keep."""
    covered = {file for pattern in cache._SOURCES for file in PACKAGE.glob(pattern)}
    pending, reached = [PACKAGE / "train" / "step.py"], set()
    while pending:
        reached.add(file := pending.pop())
        pending += imported(file) - reached
    judges = {
        file for file in imported(PACKAGE / "plan" / "compile.py") if file.parent.name == "plan"
    }
    keepers = {PACKAGE / "plan" / name for name in ("cache.py", "executable.py")}
    assert (reached | judges) - keepers - covered == set()


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
