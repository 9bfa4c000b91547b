import numpy as np
import pytest

from aquila_jax.dmu import exclusion, permutation


def test_merge_gives_the_shortest_form_of_the_same_set():
    rng = np.random.default_rng(0)
    for _ in range(50):
        ranges = [(first, first + 1 + rng.integers(5)) for first in rng.integers(0, 40, 6)]
        merged = exclusion.merge(ranges)
        wanted = {number for first, last in ranges for number in range(first, last)}
        assert {number for first, last in merged for number in range(first, last)} == wanted
        assert exclusion.total(merged) == len(wanted)
        assert all(a[1] < b[0] for a, b in zip(merged, merged[1:], strict=False))


@pytest.mark.parametrize("ranges", [[(3, 3)], [(5, 2)], [(-1, 4)]])
def test_merge_refuses_what_is_not_a_range(ranges):
    with pytest.raises(ValueError, match="must hold something"):
        exclusion.merge(ranges)


def test_places_and_positions_are_inverse_and_leave_the_holes_out():
    ranges = ((2, 9), (15, 16), (40, 50))
    holes = exclusion.holes(ranges, size=50, key=5, epoch=2)
    content = permutation.permute(np.arange(50), size=50, key=5, epoch=2)
    out = [number for first, last in ranges for number in range(first, last)]
    assert sorted(content[holes]) == out
    free = np.setdiff1d(np.arange(50), holes)
    assert exclusion.place_to_position(np.arange(32), holes).tolist() == free.tolist()
    assert exclusion.position_to_place(free, holes).tolist() == list(range(32))


def test_cursors_jump_over_skipped_numbers_and_numbers_find_their_cursors():
    skips = ((0, 2), (5, 9), (12, 13))
    kept = [number for number in range(30) if not any(a <= number < b for a, b in skips)]
    cursors = np.arange(len(kept))
    assert exclusion.jump(skips, cursors).tolist() == kept
    landed = exclusion.land(skips, np.arange(30))
    assert landed[kept].tolist() == cursors.tolist()
    assert (np.delete(landed, kept) == -1).all()
    assert exclusion.jump((), cursors).tolist() == cursors.tolist()
