"""The data report: one file that fetches nothing, samples as text, the same numbers as the JSON."""

import json
import re

import pytest

from aquila_jax.report import data_page

EVIL = "</script><script>alert(1)</script>"
SIZE = {"documents": 3, "tokens": 1200, "bytes": 4000, "characters": 3000}
SIZE |= {"tokens_per_byte": 0.3, "tokens_per_character": 0.4}


@pytest.fixture
def account():
    packings = {"cut": 0.5, "padding": 0.01}
    worth = {"share": 1.0, "planned_tokens": 6000.0, "epochs": 5.0, "effective_tokens": 5800.0}
    worth |= {"last_token_value": 0.77, "fills_a_sequence": True, "language": "en"}
    sample = {"id": "d1", "source": "forum", "evidence": "share 0.3", "text": EVIL}
    return {
        "store": "runs/x/store",
        "sources": [
            {"name": "web", "split": "train", "language": "", "files": 2, "documents": 3,
             "cleaned": 2, "flaws": 1, "first_flaws": ["a.pdf:1 (it is encrypted)"]},
        ],
        "cleaning": {
            "documents_in": 5, "documents_out": 3, "masked": {"email": 2}, "leaks": {"q1": ["d9"]},
            "leak_documents": {"q1": 2000},
            "duplicates": {"exact": 1, "near": 0},
            "groups": [{"domain": "web", "source": "forum", "in": 5, "out": 3}],
            "rules": {
                "garbled_letters": {"documents": 1, "characters": 900, "samples": [sample]},
                "english_too_short": {"documents": 2, "characters": 90, "samples": []},
            },
        },
        "languages": [{"name": "en"} | SIZE],
        "domains": [{"name": "web"} | SIZE | worth],
        "packing": [{"name": "web", "concat": packings, "best_fit": packings}],
    }  # fmt: skip


def test_it_is_whole_and_safe_and_beside_it_are_the_figures(account, tmp_path):
    page, figures = data_page.write(account, tmp_path / "new" / "data.html")
    assert sorted(file.name for file in page.parent.iterdir()) == ["data.html", "data.json"]
    assert json.loads(figures.read_text()) == account
    text = page.read_text(encoding="utf-8")
    assert EVIL not in text and "alert(1)" in text
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"http", text)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text).group(1)
    assert len(json.loads(data)["tables"]) == 7


def test_names_of_files_may_hold_any_byte(account, tmp_path):
    account["sources"][0]["first_flaws"] = ["a\udcff.pdf:1 (it is encrypted)"]
    page, _ = data_page.write(account, tmp_path / "data.html")
    assert "a?.pdf:1" in page.read_text(encoding="utf-8")


def test_the_page_may_not_lie_where_the_figures_go(account, tmp_path):
    with pytest.raises(ValueError, match="x.json is where the figures would go"):
        data_page.write(account, tmp_path / "x.json")


def test_a_folder_is_no_place_for_the_page(account, tmp_path):
    with pytest.raises(ValueError, match=r"is a folder where the page's file has to be"):
        data_page.write(account, tmp_path)


def test_rules_stand_by_what_they_took_and_worn_domains_stand_out(account):
    tables = {table["id"]: table for table in data_page.contents(account)["tables"]}
    first, second = tables["rules"]["rows"]
    assert first["cells"][0]["en"] == "english too short" and first["cells"][1] == "2"
    assert second["inside"][0]["text"] == EVIL and second["cells"][2] == "20.00\u202f%"
    assert tables["domains"]["rows"][0]["lags"]
    assert tables["leaks"]["rows"][0]["cells"] == ["q1", "2,000"]
    for table in tables.values():
        assert all(len(row["cells"]) == len(table["head"]) for row in table["rows"])


def test_without_cleaning_it_says_so(account):
    told = data_page.contents(account | {"cleaning": None})
    assert "nothing was cleaned" in told["sentence"]["en"]
    assert {"rules", "groups", "leaks"}.isdisjoint(table["id"] for table in told["tables"])
