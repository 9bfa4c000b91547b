import numpy as np

from aquila_jax.dmu import grouping


def test_every_row_is_in_the_group_of_its_label_once_and_in_order():
    labels = np.random.default_rng(0).integers(0, 9, 100)
    found = grouping.groups(labels)
    assert [label for label, _ in found] == sorted(set(labels.tolist()))
    for label, rows in found:
        assert rows.tolist() == np.flatnonzero(labels == label).tolist()


def test_nothing_has_no_groups():
    assert grouping.groups(np.zeros(0, np.int64)) == []
