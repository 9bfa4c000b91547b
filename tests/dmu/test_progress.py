"""Progress says how far, how fast and how long still."""

import pytest

from aquila_jax.dmu.progress import describe, track


@pytest.mark.parametrize(
    "done, seconds, expected",
    [
        (0.0, 1.0, "work:   0%, 0.0 of 8.0 MB, 0.00 MB/s, unknown time left"),
        (2.0, 20.0, "work:  25%, 2.0 of 8.0 MB, 0.10 MB/s, 1 min 00 s left"),
        (2.0, 3600.0, "work:  25%, 2.0 of 8.0 MB, 0.00 MB/s, 3 h 00 min left"),
        (8.0, 4.0, "work: 100%, 8.0 of 8.0 MB, 2.00 MB/s, took 4 s"),
    ],
)
def test_a_line_says_rate_and_time_left(done, seconds, expected):
    assert describe("work", "MB", done=done, total=8.0, seconds=seconds) == expected


def test_fast_work_is_reported_once_at_its_end():
    lines = []
    advance = track(lines.append, title="work", unit="files", total=100)
    for _ in range(100):
        advance(1)
    (line,) = lines
    assert line.startswith("work: 100%, 100.0 of 100.0 files")


def test_no_work_is_done_at_once():
    lines = []
    track(lines.append, title="work", unit="files", total=0)(0)
    assert lines[0].startswith("work: 100%")
