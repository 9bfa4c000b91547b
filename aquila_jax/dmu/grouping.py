"""Rows by label, so that a batch of many domains is worked on domain by domain."""

import numpy as np


def groups(labels: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The distinct values of `labels` (int [n], none negative), each with its rows, in order.

    >>> [(label, rows.tolist()) for label, rows in groups(np.array([7, 2, 7]))]
    [(2, [1]), (7, [0, 2])]
    """
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    edges = np.append(starts, len(order)).tolist()
    labels = labels[order[starts]].tolist()
    return [(label, order[a:b]) for label, a, b in zip(labels, edges, edges[1:], strict=False)]
