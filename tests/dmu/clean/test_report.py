import json

from aquila_jax.dmu.clean import documents, report
from aquila_jax.dmu.clean.settings import Settings


def write(folder, rows):
    with documents.writer(str(folder)) as out:
        for name, text, meta in rows:
            given = documents.Document(text=text, id=name, source="s", language="en")
            step = documents.to_step(given, given=("documents", "en", "s"), **meta)
            out.write(step, 0)


MANIFEST = {"empty": 1, "unreadable": 2, "first_unreadable": ["f:3 (x)"]}


def test_of_many_documents_some_are_named_and_all_are_counted(tmp_path):
    many = report.IDS + 30
    leak = {"rule": "leak", "evidence": "set:1", "items": ["set:1"]}
    write(tmp_path / "dropped/screen", [(f"a{n}", "x", leak) for n in range(many)])
    near = {"minhash_cluster_id": 4}
    write(tmp_path / "dropped/near", [(f"b{n}", "x", near) for n in range(many)])
    manifest = MANIFEST | {"inputs": [["documents", "en", "s", 2 * many, 2 * many]]}
    made = report.make(str(tmp_path), manifest, Settings(), poisoned=(), unsearchable=0)
    assert made.leaks == {"set:1": [f"a{n}" for n in range(report.IDS)]}
    assert made.leak_documents == {"set:1": many}
    assert made.duplicates["samples"] == [[f"b{n}" for n in range(report.IDS)]]
    assert made.duplicates["sizes"] == [many]


def test_counts_samples_leaks_and_masks(tmp_path):
    short = {"rule": "short", "evidence": "9 words"}
    leak = {"rule": "leak", "evidence": "set/1: what", "items": ["set/1", "set/2"]}
    write(tmp_path / "dropped/screen", [(f"a{n}", "x" * 500, short) for n in range(5)])
    write(tmp_path / "dropped/exact", [("b", "y", {})])
    write(tmp_path / "dropped/near", [("c", "z", {"minhash_cluster_id": 4})])
    write(tmp_path / "dropped/poisoned", [("d", "what", leak)])
    write(
        tmp_path / "clean/documents",
        [("e", "zz", {"minhash_cluster_id": 4, "masked": {"email": 2}}), ("f", "q", {})],
    )
    manifest = MANIFEST | {"inputs": [["documents", "en", "s", 10, 2510]]}
    made = report.make(
        str(tmp_path), manifest, Settings(samples=2), poisoned=("s x",), unsearchable=7
    )
    assert (made.documents_in, made.documents_out, made.characters_out) == (11, 2, 3)
    assert made.rules["short"]["documents"] == 5 and made.rules["short"]["characters"] == 2500
    assert [sample["id"] for sample in made.rules["short"]["samples"]] == ["a0", "a1"]
    assert len(made.rules["short"]["samples"][0]["text"]) == report.EXCERPT
    assert made.leaks == {"set/1": ["d"], "set/2": ["d"]} and made.masked == {"email": 2}
    assert made.duplicates["exact"] == made.duplicates["near"] == made.duplicates["clusters"] == 1
    assert made.duplicates["samples"] == [["c", "e"]] and made.duplicates["largest"] == 2
    assert made.groups[0]["dropped"] == {
        "short": 5, "leak": 1, "duplicate_exact": 1, "duplicate_near": 1,
    }  # fmt: skip
    assert made.unreadable == 2 and made.first_unreadable == ("f:3 (x)",)
    assert json.loads(made.to_json())["settings"]["samples"] == 2
