"""Runs of True in boolean arrays."""

from __future__ import annotations

import numpy as np

__all__ = ["runs"]


def runs(held: np.ndarray) -> np.ndarray:
    """First frame and stop of each run of True in ``[T]``: ``[n, 2]`` int64."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(held, dtype=np.int8), [0]])))
    return edges.reshape(-1, 2)
