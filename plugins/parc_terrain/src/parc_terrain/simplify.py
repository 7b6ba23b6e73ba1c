"""Make a terrain coarser, and level the ground where a motion starts and ends."""

from __future__ import annotations

import numpy as np

__all__ = ["flat_maxpool_2x2", "is_level_pad", "level_pad", "pad_start"]


def flat_maxpool_2x2(height: np.ndarray) -> np.ndarray:
    """Every aligned block of 2 x 2 cells at its highest: ``[nx, ny]`` m; nothing narrower than two cells remains.

    An odd last row or column is joined to the block before it, unlike in the published implementation, which leaves
    it as it is.
    """
    groups = [_groups(n) for n in height.shape]
    pooled = np.maximum.reduceat(
        np.maximum.reduceat(height, _starts(groups[0]), axis=0), _starts(groups[1]), axis=1
    )
    return pooled[groups[0][:, None], groups[1][None, :]]


def pad_start(index: np.ndarray, shape: tuple[int, int], pad: int) -> np.ndarray:
    """First cell of the square pad of each cell: ``[..., 2]`` int64 for ``index`` ``[..., 2]``.

    A pad begins at an even cell, so that it agrees with blocks of 2 x 2, and is moved into the grid at the border.
    """
    index = np.asarray(index)
    start = (index - pad // 2 + 1) // 2 * 2
    return np.clip(start, 0, np.maximum(np.array(shape) - pad, 0))


def level_pad(height: np.ndarray, index: np.ndarray, pad: int) -> np.ndarray:
    """Heights ``[nx, ny]`` with the pad around one cell, ``index`` ``[2]``, at that cell's height."""
    i, j = pad_start(index, height.shape, pad)
    result = height.copy()
    result[i : i + pad, j : j + pad] = height[tuple(index)]
    return result


def is_level_pad(height: np.ndarray, index: np.ndarray, pad: int, tolerance: float = 1e-3) -> np.ndarray:
    """Whether the pad around each cell is level: ``[n]`` bool for ``index`` ``[n, 2]``."""
    size = np.minimum(pad, height.shape)
    first = pad_start(index, height.shape, pad)
    rows = first[:, 0, None, None] + np.arange(size[0])[None, :, None]
    columns = first[:, 1, None, None] + np.arange(size[1])[None, None, :]
    block = height[rows, columns]
    return np.ptp(block, axis=(1, 2)) <= tolerance


def _groups(count: int) -> np.ndarray:
    """Block of each of `count` cells, the odd last one in the block before it: ``[count]`` int64."""
    return np.minimum(np.arange(count) // 2, max(count // 2 - 1, 0))


def _starts(groups: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(groups, prepend=-1))
