"""Whatever happens on the way, a file is the old one or the new one."""

import pytest

from aquila_jax.core import files


def test_what_is_written_is_all_there_is(tmp_path):
    file = tmp_path / "deep" / "er" / "name"
    for content in (b"longer than the next", b"new"):
        files.write(file, content)
        assert file.read_bytes() == content and list(file.parent.iterdir()) == [file]


def test_what_fails_halfway_leaves_the_old_content(tmp_path):
    file = tmp_path / "name"
    files.write(file, b"old")
    with pytest.raises(OSError, match="full"), files.writing(file) as unfinished:
        unfinished.write(b"new")
        unfinished.flush()
        assert file.read_bytes() == b"old"
        raise OSError("the disk is full")
    assert file.read_bytes() == b"old"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_nothing_beside_it(tmp_path, error):
    with pytest.raises(error), files.writing(tmp_path / "name") as unfinished:
        unfinished.write(b"new")
        raise error
    assert not list(tmp_path.iterdir())
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError):
        files.write(tmp_path / "folder", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
