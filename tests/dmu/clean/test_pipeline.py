import dataclasses
import gzip
import json
import pathlib
import random
import resource

import pytest

from aquila_jax.dmu import sources
from aquila_jax.dmu.clean import pipeline, report, settings, spool
from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.sources import Flaw, Source

WORDS = (
    "the of and to that have with committee village river school winter road meeting chairman "
    "children houses flood members opinion evening people write drink spoke years repaired build "
    "older nobody agree stayed yard thirty nearly washed away send everyone able come long first"
).split()
CHARACTERS = (
    "委员会星期开讨论去年发生大事听取各地代表意见道路学校看法傍晚结束主持人决定文件成员的了在是和"
)


def english(rng, sentences=14):
    made = [" ".join(rng.choice(WORDS) for _ in range(14)) for _ in range(sentences)]
    return "\n".join(" ".join(s.capitalize() + "." for s in made[i : i + 4]) for i in (0, 4, 8))


def chinese(rng, length=400):
    text = [rng.choice(CHARACTERS) for _ in range(length)]
    for at in range(9, length, 10):
        text[at] = "，" if at % 40 != 39 else "。"
    return "".join(text)


def edited(text, rng):
    """Three words or characters exchanged for others: a Jaccard similarity of about 0.83."""
    parts = text.split(" ") if " " in text else list(text)
    for at in rng.sample(range(5, len(parts) - 5), 3):
        parts[at] = rng.choice([part for part in parts if part != parts[at]])
    return (" " if " " in text else "").join(parts)


PLAIN = settings.Settings(
    english=None,
    chinese=None,
    garbled=None,
    poison=None,
    shard_characters=20_000,
    duplicates=settings.Duplicates(buckets=20),
)


def make(seed=0, count=60):
    """Documents with exact duplicates (x), near ones (n), both languages, ids that say which."""
    rng = random.Random(seed)
    made = []
    for at in range(count):
        write = english if at % 2 else chinese
        text = write(rng)
        made.append((f"o{at}", text))
        if at % 5 == 0:
            made.append((f"x{at}", text.upper() + "\n"))
        if at % 7 == 0:
            made.append((f"n{at}", edited(text, rng)))
    originals = [one for one in made if one[0][0] == "o"]
    copies = [one for one in made if one[0][0] != "o"]
    rng.shuffle(copies)
    return [
        Document(text=text, id=name, language="en" if "e" in text.lower() else "zh", source="s")
        for name, text in originals + copies
    ]


def quiet(_):
    pass


def run(documents, place, given=PLAIN, **how):
    cleaned = pipeline.clean(documents, given, str(place), tell=quiet, **how)
    return [document.id for document in cleaned.documents], cleaned.report


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    place = tmp_path_factory.mktemp("once") / "work"
    return run(make(), place), place


def test_every_copy_goes_and_every_original_stays(once):
    (left, made), _ = once
    assert left == [one.id for one in make() if one.id[0] == "o"]
    assert made.duplicates["exact"] == 12 and made.duplicates["near"] == 9
    assert made.duplicates["clusters"] == 9 and made.duplicates["largest"] == 2
    assert {name[0] for names in made.duplicates["samples"] for name in names} == {"o", "n"}


def test_the_account_adds_up(once):
    (left, made), place = once
    assert made.documents_in == made.documents_out + sum(
        row["documents"] for row in made.rules.values()
    )
    assert made.documents_out == len(left) == sum(row["out"] for row in made.groups)
    for row in made.groups:
        assert row["in"] == row["out"] + sum(row["dropped"].values())
    assert json.loads((place / "report.json").read_text()) == json.loads(made.to_json())
    assert all(len(row["samples"]) == 3 for row in made.rules.values())


def test_a_finished_folder_is_read_not_made_again(once):
    (left, made), place = once
    before = {file: file.stat().st_mtime_ns for file in place.rglob("*.zst")}
    again, report_again = run(iter([]), place)
    assert again == left and report_again == made
    assert {file: file.stat().st_mtime_ns for file in place.rglob("*.zst")} == before


def test_other_settings_or_input_are_refused(once):
    _, place = once
    other = settings.Settings(languages=("en",))
    with pytest.raises(ValueError, match="cleaning of other documents or settings"):
        run(make(), place, other)
    with pytest.raises(ValueError, match="cleaning of other documents or settings"):
        run(make(), place, key="another corpus")


def test_stopped_and_taken_up_again_is_the_same(once, tmp_path, monkeypatch):
    (left, made), _ = once
    place = tmp_path / "work"
    for stage in ("screen", "signature", "clusters", "clean"):
        real = pipeline.engines.run

        def stop(steps, tasks, logs, stage=stage, real=real, **how):
            if pathlib.Path(logs).name == stage:
                real(steps, tasks // 2, logs, **how)  # half of the tasks, then the end
                raise KeyboardInterrupt
            real(steps, tasks, logs, **how)

        with monkeypatch.context() as patch:
            patch.setattr(pipeline.engines, "run", stop)
            with pytest.raises(KeyboardInterrupt):
                run(make(), place)
    assert run(make(), place) == (left, made)


def test_stopped_while_reading_the_input(once, tmp_path):
    def broken():
        yield from make()[:30]
        raise OSError("the source vanished")

    with pytest.raises(OSError, match="vanished"):
        run(broken(), tmp_path / "work")
    assert run(make(), tmp_path / "work") == once[0]


def test_shards_do_not_change_the_result(once, tmp_path):
    (left, made), _ = once
    other = dataclasses.replace(PLAIN, shard_characters=10**9)
    whole, account = run(make(), tmp_path / "work", other)
    assert whole == left and account.rules == made.rules


def test_empty_inputs(tmp_path):
    left, made = run([], tmp_path / "none")
    assert left == [] and made.documents_in == 0
    blank = [Document(text=" \n", id="a"), Document(text="天地", id="b", language="zh")]
    left, made = run(blank, tmp_path / "blank")
    assert left == ["b"] and made.empty == 1 and made.documents_in == 2
    assert made.rules["empty"]["documents"] == 1


def test_the_account_of_a_crawl_is_of_sites_and_no_longer_than_so_many(tmp_path):
    pages = [
        Document(
            text=f"天地 {n}", id=f"{n}", language="zh", source=f"https://site{n % 150}.org/{n}"
        )
        for n in range(300)
    ]
    left, made = run(pages, tmp_path)
    assert len(made.groups) == spool.SITES + 1
    assert {row["source"]: row["in"] for row in made.groups}["site0.org"] == 2
    assert sum(row["in"] for row in made.groups) == made.documents_in == 300


def test_a_shard_of_which_nothing_is_left(tmp_path):
    rng = random.Random(3)
    texts = [english(rng) for _ in range(9)]
    documents = [
        Document(text=text, id=str(at), language="en", source="bad" if 3 <= at < 6 else "s")
        for at, text in enumerate(texts + texts[:2])
    ]
    small = dataclasses.replace(PLAIN, blocked=("bad",), shard_characters=len(texts[0]) * 2)
    left, made = run(documents, tmp_path / "work", small)
    assert left == ["0", "1", "2", "6", "7", "8"]
    assert made.rules["source_blocked"]["documents"] == 3


def test_more_shards_than_files_may_be_open(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(list(pathlib.Path("/dev/fd").iterdir())) + 25
    given = make(count=30)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
        left, made = run(given, tmp_path / "work", dataclasses.replace(PLAIN, shard_characters=10))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(left) == 30 and made.documents_in == len(given) > 30


def test_flaws_are_named_of_each_file(tmp_path):
    counts = {"a": 12, "b": 5}
    given = [Flaw(file=name, line=n, reason="x") for name in counts for n in range(counts[name])]
    _, made = run(given, tmp_path / "work")
    assert made.unreadable == counts
    assert [place[0] for place in made.first_unreadable] == ["a"] * 10 + ["b"] * 5


def test_half_a_character_is_no_reason_to_stop(tmp_path):
    half = "a\ud800b"
    given = [Document(text=half, id=half, language="code", source=half, place=half)]
    given += [Flaw(file=half, line=7, reason="not valid UTF-8")]
    cleaned = pipeline.clean(given, PLAIN, str(tmp_path / "w"), tell=quiet)
    (left,) = cleaned.documents
    assert {left.text, left.id, left.source, left.place} == {"a\ufffdb"}
    assert cleaned.report.unreadable == {half: 1}
    assert json.loads((tmp_path / "w" / "report.json").read_text())["unreadable"] == {"a?b": 1}


def test_sources_in_sources_out(tmp_path):
    file, held = tmp_path / "a.jsonl.gz", tmp_path / "held.jsonl"
    rows = [json.dumps({"text": one.text, "id": one.id, "source": "here"}) for one in make()]
    with gzip.open(file, "wt") as out:
        out.write("\n".join([*rows, "{broken"]))
    held.write_text(rows[0])
    given = (
        Source(name="mixed", language="en", paths=(str(file),)),
        Source(name="mixed", language="en", paths=(str(held),), split="heldout"),
    )
    left, made = pipeline.clean_sources(given, PLAIN, str(tmp_path / "work"), tell=quiet)
    assert [source.split for source in left] == ["train", "heldout"] and left[1] == given[1]
    found = [one for name in sources.expand(left[0]) for one in sources.read(name)]
    originals = [one.id for one in make() if one.id[0] == "o"]
    assert [one.id for one in found] == originals[1:]  # the first is held out
    assert made.rules["held_out"]["documents"] >= 1
    assert {one.source for one in found} == {"here"} and made.documents_out == len(found)
    assert made.unreadable == {str(file): 1} and made.first_unreadable[0].endswith(
        "(not valid JSON)"
    )


def test_what_was_dropped_can_be_read_in_full(once):
    _, place = once
    texts = {one.id: one.text for one in make()}
    gone = list(report.dropped(str(place)))
    assert len(gone) == 21
    for document in gone:
        assert document.text == texts[document.id]
        kind = {"x": "duplicate_exact", "n": "duplicate_near"}[document.id[0]]
        assert document.metadata["rule"] == kind
