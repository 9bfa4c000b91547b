import json

import pytest

from aquila_jax.core import journal


def write(path, count):
    book = journal.Journal(path)
    for step in range(count):
        book.append(step, "decision", rule="none", value=0.1 * step)
    return book


def test_any_edit_is_found_at_its_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 5)
    assert len(journal.read_journal(path)) == 5
    text = path.read_text().splitlines()
    text[3] = text[3].replace("0.30000000000000004", "0.3")
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(ValueError, match="line 4 of .* was edited"):
        journal.read_journal(path)


@pytest.mark.parametrize("move", [lambda lines: lines.pop(2), lambda lines: lines.reverse()])
def test_a_line_that_is_gone_or_elsewhere_shows_though_none_was_edited(tmp_path, move):
    write(tmp_path / "journal.jsonl", 5)
    lines = journal.read_lines(tmp_path / "journal.jsonl")
    whole = list(lines)
    move(lines)
    first = next(i for i, line in enumerate(lines) if line != whole[i])
    assert journal.first_broken(lines) == first


def test_cut_back_and_written_again_gives_the_same_bytes(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 5)
    whole = path.read_bytes()
    third = json.loads(whole.splitlines()[2])["hash"]
    book = journal.Journal(path, keep=3, last_hash=third)
    for step in (3, 4):
        book.append(step, "decision", rule="none", value=0.1 * step)
    assert path.read_bytes() == whole


def test_without_a_path_it_counts_and_hashes_all_the_same(tmp_path):
    silent = write(None, 4)
    written = write(tmp_path / "journal.jsonl", 4)
    assert (silent.count, silent.hash) == (written.count, written.hash)


def test_a_journal_that_lost_lines_or_was_edited_is_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    book = write(path, 3)
    with pytest.raises(ValueError, match="has 3 lines, but the checkpoint was made after 4"):
        journal.Journal(path, keep=4, last_hash=book.hash)
    with pytest.raises(ValueError, match="somebody edited"):
        journal.Journal(path, keep=2, last_hash=book.hash)


def test_a_last_line_cut_short_is_left_out(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    path.write_bytes(path.read_bytes()[:-10])
    assert [entry["seq"] for entry in journal.read_lines(path)] == [0, 1]


@pytest.mark.parametrize("damage", [b'{"seq": 1, x', b"\xff\xfe", b"[" * 100_000, b"[1]", b"{}"])
def test_a_damaged_line_is_named_with_its_file(tmp_path, damage):
    path = tmp_path / "journal.jsonl"
    hashes = write(path, 3).hash
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], lines[1], damage]) + b"\n")
    with pytest.raises(ValueError, match=f"line 3 of {path}"):
        journal.read_journal(path)
    with pytest.raises(ValueError, match=f"line 3 of {path}"):
        journal.Journal(path, keep=3, last_hash=hashes)


def test_a_line_cut_short_does_not_count_as_one(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2')
    with pytest.raises(ValueError, match="has 1 lines, but the checkpoint was made after 2"):
        journal.Lines(path, keep=2)
