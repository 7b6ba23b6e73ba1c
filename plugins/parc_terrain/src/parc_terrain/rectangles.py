"""Turned rectangles on a grid: which cells they hold, and terrain that they are drawn into one after the other.

Source: `parc_motion.published`: the strict inside test, and that later rectangles overwrite earlier ones.
"""

from __future__ import annotations

import numpy as np

__all__ = ["draw_rectangles", "inside_rectangles"]

_AT_ONCE = (
    1 << 18
)  # cells times rectangles up to which all are tested in one go; beyond, one rectangle at a time


def draw_rectangles(
    height: np.ndarray, center: np.ndarray, size: np.ndarray, angle: np.ndarray, value: np.ndarray
) -> np.ndarray:
    """Heights ``[nx, ny]`` with each rectangle at its ``value`` ``[K]``; where several lie, the last one wins.

    Args:
        center, size, angle: see `inside_rectangles`.
    """
    if len(value) == 0:
        return height
    nx, ny = height.shape
    if height.size * len(value) <= _AT_ONCE:
        inside = inside_rectangles((nx, ny), center, size, angle)
        last = len(value) - 1 - inside[::-1].argmax(axis=0)
        return np.where(inside.any(axis=0), value[last], height)
    result = height.copy()
    cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    turned = np.stack([cos * size[:, 0] + sin * size[:, 1], sin * size[:, 0] + cos * size[:, 1]], axis=1)
    first = np.clip(np.floor(center - turned / 2), 0, (nx, ny)).astype(np.int64)
    stop = np.clip(np.ceil(center + turned / 2) + 1, 0, (nx, ny)).astype(np.int64)
    for k in range(len(value)):
        x, y = np.arange(first[k, 0], stop[k, 0]), np.arange(first[k, 1], stop[k, 1])
        one = slice(k, k + 1)
        window = result[first[k, 0] : stop[k, 0], first[k, 1] : stop[k, 1]]
        window[_inside(x, y, center[one], size[one], angle[one])[0]] = value[k]
    return result


def inside_rectangles(
    shape: tuple[int, int], center: np.ndarray, size: np.ndarray, angle: np.ndarray
) -> np.ndarray:
    """Which cells have their center strictly inside each turned rectangle: ``[K, nx, ny]`` bool.

    Args:
        shape: nx, ny.
        center: ``[K, 2]`` cells.
        size: full side lengths, ``[K, 2]`` cells.
        angle: turn about z, ``[K]`` rad.
    """
    return _inside(np.arange(shape[0]), np.arange(shape[1]), center, size, angle)


def _inside(
    rows: np.ndarray, columns: np.ndarray, center: np.ndarray, size: np.ndarray, angle: np.ndarray
) -> np.ndarray:
    x = rows[None, :, None] - center[:, 0, None, None]
    y = columns[None, None, :] - center[:, 1, None, None]
    half = size[:, :, None, None] / 2
    if not angle.any():  # the usual case; an outer product of two short rows
        return (np.abs(x) < half[:, 0]) & (np.abs(y) < half[:, 1])
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return (np.abs(cos * x + sin * y) < half[:, 0]) & (np.abs(cos * y - sin * x) < half[:, 1])
