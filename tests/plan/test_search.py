"""Choosing what to compile, with a compiler that only pretends."""

import dataclasses

from aquila_jax.plan import chips, search
from aquila_jax.plan.candidates import candidates
from aquila_jax.plan.compile import advice, bytes_needed
from aquila_jax.plan.roofline import Times
from aquila_jax.plan.search import Search, Sketch

GIB = chips.GIB


def sketch(tiny, place, step, memory):
    return Sketch(candidates(tiny, 8)[place], Times(compute=step, memory=0, links=0), memory)


def test_the_fastest_that_should_fit_is_compiled_first(tiny):
    fast, slow = sketch(tiny, 0, 1.0, 12 * GIB), sketch(tiny, 1, 2.0, 8 * GIB)
    assert search.promising([fast, slow], 16 * GIB) == fast
    assert search.promising([fast, slow], 10 * GIB) == slow
    assert search.promising([fast, slow], GIB) == slow  # nothing fits: the smallest shall tell


def test_a_search_ends_when_no_sketch_promises_more(tiny):
    chosen = sketch(tiny, 0, 2.0, 8 * GIB)
    good, better = (
        {"fits": True, "sketched": 9 * GIB, "seconds": {"step": s, "serial": s}} for s in (2.5, 1.5)
    )
    failed = {"fits": False, "sketched": 9 * GIB}
    assert not search.enough([], chosen)
    assert not search.enough([good], chosen)
    assert search.enough([good, better], chosen)
    assert not search.enough([failed], chosen)  # a smaller one is left
    assert search.enough([failed | {"sketched": 7 * GIB}], chosen)


MESSAGE = (
    "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. "
    "Used 18.50G of 15.75G hbm. Exceeded hbm capacity by 2.75G."
)


def pretend(monkeypatch, needs):
    """A compiler that finds what `needs` says of a layout, and lists what it was asked."""
    asked = []

    def judge(config, candidate, slice_, how):
        asked.append(candidate)
        needed = needs(candidate, search.sketch.memory(config, candidate))
        times = search.sketch.times(config, candidate, slice_)
        report = {
            "fits": needed <= slice_.chip.memory, "needed": needed, "parameters": GIB,
            "available": slice_.chip.memory, "optimizer": 2 * GIB, "compile_seconds": 1.0,
            "seconds": {"step": times.step, "serial": times.serial}, "bound": "compute",
            "layout": dataclasses.asdict(candidate),
        }  # fmt: skip
        return report

    monkeypatch.setattr(search, "compiled", judge)
    return asked


def searched(tiny, folder, tries=3):
    how = Search(lower=None, folder=folder, tries=tries, say=lambda line: None)
    return search.best(tiny, chips.find("v5e-8"), how)


def test_a_truthful_sketch_is_compiled_once_and_never_again(tiny, tmp_path, monkeypatch):
    asked = pretend(monkeypatch, lambda candidate, sketched: sketched)
    plan = searched(tiny, tmp_path)
    assert len(asked) == 1 and plan["fits"]
    assert searched(tiny, tmp_path) == plan and len(asked) == 1  # known by now


def test_what_the_compiler_says_of_memory_corrects_the_sketches(tiny, tmp_path, monkeypatch):
    hungry = 2 * chips.find("v5e-8").chip.memory

    def needs(candidate, sketched):
        return sketched * hungry / 1e6 if candidate.rows > 1 else sketched

    asked = pretend(monkeypatch, needs)
    plan = searched(tiny, tmp_path, tries=2)
    assert [c.rows > 1 for c in asked] == [True, False]
    assert plan["fits"] and plan["layout"]["accumulate"] == asked[1].accumulate
    assert [tried["fits"] for tried in plan["tried"]] == [False, True]


def test_a_search_that_finds_nothing_keeps_to_its_tries_and_says_what_to_do(
    tiny, tmp_path, monkeypatch
):
    asked = pretend(monkeypatch, lambda candidate, sketched: sketched + 20 * GIB)
    plan = searched(tiny, tmp_path, tries=2)
    assert 1 <= len(asked) <= 2 and not plan["fits"] and "GiB too many" in plan["advice"]


def test_the_compilers_verdict_is_read():
    assert bytes_needed(MESSAGE) == 18.5 * GIB
    assert bytes_needed("INTERNAL: something else") is None


def test_advice_names_what_is_over_and_what_to_change(tiny):
    layout = {c.remat: c for c in candidates(tiny, 8) if c.fsdp == 8 and c.rows == 2}
    report = {
        "needed": 20 * GIB,
        "available": 16 * GIB,
        "parameters": 4 * GIB,
        "optimizer": 8 * GIB,
    }
    told = advice(tiny, layout["nothing_saveable"], report)
    assert "20.0 GiB a device, 4.0 GiB too many" in told
    assert "take a slice of 12 devices or more" in told
    fewer = next(c for c in candidates(tiny, 8) if c.fsdp * c.tensor == 2)
    assert "spread the state over 3 devices or more" in advice(tiny, fewer, report)
    report |= {"parameters": GIB, "optimizer": 2 * GIB}
    assert "remat=nothing_saveable" in advice(
        tiny, layout["dots_with_no_batch_dims_saveable"], report
    )
    assert "fewer sequences" in advice(tiny, layout["nothing_saveable"], report)


def test_layouts_are_searched_within_the_given_tries(tiny):
    found = search.sketches(
        tiny, chips.find("v5e-8"), Search(lower=None, folder=None, say=lambda line: None)
    )
    assert [s.times.rank for s in found] == sorted(s.times.rank for s in found)
    as_is = Search(lower=None, folder=None, say=lambda line: None, as_is=True)
    alone = search.sketches(tiny, chips.find("v5e-8"), as_is)
    assert [s.candidate.mesh for s in alone] == [{"fsdp": 8}]
