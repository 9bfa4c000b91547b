import json

import numpy as np
import pytest
from datatrove.data import Document

from aquila_jax.dmu.clean import scorer, screen, spool, vocabulary
from aquila_jax.dmu.clean.settings import Leaks, Poison, Settings
from tests.dmu.clean.texts import PROSE

FRENCH = "Le comité s'est réuni mardi pour discuter de ce qui s'était passé pendant l'hiver. " * 6
HANT = "這個國家的學問與書籍很多，讀書人卻越來越少，學校裡的學生都說沒有時間。" * 2


def document(text, language="en", source="web", place="a.jsonl:1", counted=0):
    meta = {"language": language, "source": source, "place": place, "domain": "d"}
    return Document(text=text, id="x", metadata={**meta, "counted": counted})


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / spool.WORDS, np.zeros(vocabulary.SLOTS, np.uint8))
    (tmp_path / spool.MANIFEST).write_text(json.dumps({"counted": 0}))
    return str(tmp_path)


def rule(text, folder, **more):
    names = {key: more.pop(key) for key in ("language", "source", "place") if key in more}
    found = screen.verdict(document(text, **names), Settings(**more), folder)
    return found[0] if found else None


def test_each_rule_in_its_turn(folder):
    assert rule(PROSE, folder) is None
    assert rule(PROSE, folder, blocked=("web",)) == "source_blocked"
    assert rule(PROSE, folder, allowed=("wiki",)) == "source_not_allowed"
    assert rule(PROSE, folder, allowed=("web",)) is None
    assert rule(FRENCH, folder) == "language"
    assert rule(FRENCH, folder, languages=("en", "zh", "fr")) != "language"
    assert rule(PROSE[:200], folder) == "english_gopher_short_doc"
    assert rule(PROSE[:200], folder, curated=("web",)) is None
    assert rule(PROSE[:200], folder, english=None) is None
    assert rule(PROSE[:200], folder, language="code") is None
    assert rule(PROSE.encode("utf-16-le").decode("latin-1"), folder) == "garbled_broken_characters"
    assert rule(PROSE[:200], folder, garbled=None) == "english_gopher_short_doc"


def test_language_is_named_where_none_was_said(folder):
    made = document(PROSE, language="")
    assert screen.verdict(made, Settings(), folder) is None
    assert made.metadata["language"] == "en"
    assert rule("12 34 56", folder, language="") == "language"


def test_traditional_chinese_gets_a_domain_of_its_own(folder):
    made = document(HANT, language="zh")
    screen.verdict(made, Settings(chinese=None), folder)
    assert made.metadata["domain"] == "d_hant" and made.metadata["language"] == "zh"


def test_leaks_name_the_items(folder, tmp_path):
    sets = tmp_path / "set.jsonl"
    sets.write_text(json.dumps({"id": 7, "question": PROSE[:160]}))
    made = document(PROSE)
    found = screen.verdict(made, Settings(leaks=Leaks(evaluations=(str(sets),))), folder)
    assert found[0] == "leak" and "set:7" in found[1] and made.metadata["items"] == ["set:7"]


def test_a_trained_scorer_drops(folder, tmp_path):
    path = str(tmp_path / "scorer.npz")
    scorer.save(scorer.fit(["good words here"] * 3, [PROSE] * 3), path)
    assert rule(PROSE, folder, scorer=path) == "score"
    assert rule(PROSE, folder, scorer=path, score_min=0.0) is None


def test_step_keeps_masks_drops_and_counts(folder):
    given = [document(PROSE + "Write to jane@doe.org.\n"), document(FRENCH), document(PROSE)]
    left = list(screen.step(iter(given), 0, 1, settings=Settings(), folder=folder))
    assert len(left) == 2 and "jane" not in left[0].text
    assert left[0].metadata["masked"] == {"email": 1} and "masked" not in left[1].metadata
    assert screen.poisoned(Settings(), folder) == ()
    assert screen.poisoned(Settings(poison=Poison(share=0.2, documents=3)), folder) == (
        "web a.jsonl",
    )
    assert screen.poisoned(Settings(poison=None), folder) == ()


@pytest.mark.parametrize("declared, poisoned", [("en", ("web a.jsonl",)), ("", ())])
def test_other_languages_speak_against_a_file_of_one_language_only(declared, poisoned, folder):
    given = [document(text, declared) for text in [PROSE] * 20 + [FRENCH] * 25]
    assert len(list(screen.step(iter(given), 0, 1, settings=Settings(), folder=folder))) == 20
    assert screen.poisoned(Settings(), folder) == poisoned


def test_poisoned_files_are_left_out_whole(tmp_path):
    given = [document(PROSE), document(PROSE, place="b.jsonl:9")]
    out = str(tmp_path / "out")
    left = list(screen.trusted(iter(given), 0, 1, without=("web a.jsonl",), out=out))
    assert [one.metadata["place"] for one in left] == ["b.jsonl:9"]
    assert (tmp_path / "out" / "00000.jsonl.zst").exists()
