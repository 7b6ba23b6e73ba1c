"""Blocky ground as few axis-aligned boxes, for simulators."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from parc_core.data.terrain import Terrain
from parc_core.errors import DataError

__all__ = ["box_cover"]


def box_cover(
    terrain: Terrain, floor_depth: float = 1.0, skirt: float = 2.0, layered: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that together make the same solid as the terrain, largest first.

    Every box reaches from `floor_depth` below the lowest cell up to its height, and boxes at the border reach
    `skirt` further out, where the ground continues with its border heights.

    Args:
        floor_depth: thickness of the ground under its lowest cell, m; more than 0.
        skirt: how far the ground continues outside the grid, m; 0 or more.
        layered: lower boxes may run on below higher ones, which needs fewer boxes and leaves fewer seams to stumble
            over; without it no two boxes overlap in plan.

    Returns:
        Centres ``[K, 3]`` and half sizes ``[K, 3]``, float64 m.

    Raises:
        DataError: `floor_depth` or `skirt` is out of range.
    """
    if not (floor_depth > 0 and skirt >= 0):
        raise DataError(
            f"box_cover got floor_depth {floor_depth} m and skirt {skirt} m, expected more than 0 and at least 0."
        )
    height = terrain.height.astype(np.float64)
    rectangles: list[np.ndarray] = []
    tops: list[float] = []
    levels, inverse = np.unique(height, return_inverse=True)
    for number, where in enumerate(ndimage.find_objects(inverse.reshape(height.shape) + 1)):
        level, corner = levels[number], [where[0].start, where[1].start] * 2
        near = height[where]  # cells beyond the ones of this level cannot help to cover them
        missing, allowed = near == level, near >= level if layered else near == level
        for found in _cover_parts(missing, allowed, layered):
            rectangles.append(np.array(found)[[0, 2, 1, 3]] + corner)  # first and stop cell
            tops.append(float(level))
    return _boxes(terrain, np.array(rectangles), np.array(tops), floor_depth, skirt)


def _cover_parts(missing: np.ndarray, allowed: np.ndarray, overlap: bool) -> list[tuple[int, int, int, int]]:
    """Cover of each connected part of `allowed` that holds missing cells: (i0, i1, j0, j1), stops excluded."""
    parts, _ = ndimage.label(allowed)
    found = []
    for part, where in enumerate(ndimage.find_objects(np.where(missing, parts, 0)), start=1):
        if where is not None:
            inside = parts[where] == part
            rectangles = _cover(missing[where] & inside, inside.copy(), overlap)
            i, j = where[0].start, where[1].start
            found += [(i0 + i, i1 + i, j0 + j, j1 + j) for i0, i1, j0, j1 in rectangles]
    return found


def _cover(missing: np.ndarray, allowed: np.ndarray, overlap: bool) -> list[tuple[int, int, int, int]]:
    """Rectangles of allowed cells that hold all missing ones, always the one that adds most.

    Each is (i0, i1, j0, j1), stops excluded.
    """
    found = []
    while missing.any():
        i0, i1, j0, j1 = _richest_rectangle(missing, allowed)
        missing[i0:i1, j0:j1] = False
        if not overlap:
            allowed[i0:i1, j0:j1] = False
        found.append((i0, i1, j0, j1))
    return found


def _richest_rectangle(missing: np.ndarray, allowed: np.ndarray) -> tuple[int, int, int, int]:
    """Rectangle inside `allowed` with most missing cells, the largest of those: (i0, i1, j0, j1), stops excluded.

    For every span of rows (first row fixed, last row growing) the columns that are allowed throughout make runs; the
    run with most missing cells counts. Vectorised over first rows and columns.
    """
    rows, columns = allowed.shape
    best, answer = (-1, -1), (0, 0, 0, 0)
    free = np.ones((rows, columns), dtype=bool)  # [first row, column]
    gain = np.zeros((rows, columns), dtype=np.int64)
    first = np.arange(rows)
    for length in range(1, rows + 1):
        starts = rows - length + 1
        last = first[:starts] + length - 1
        free = free[:starts] & allowed[last]
        gain = gain[:starts] + missing[last]
        if not free.any():
            break
        score, begin, stop = _best_run(free, gain)
        area = (stop - begin) * length
        top = np.lexsort((area, score))[-1]
        if (score[top], area[top]) > best:
            best = (score[top], area[top])
            answer = (int(top), int(top) + length, int(begin[top]), int(stop[top]))
    return answer


def _best_run(free: np.ndarray, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row's runs of free columns that with the most gain: its sum, begin and stop, ``[R]`` each."""
    columns = free.shape[1]
    index = np.arange(columns)
    total = np.cumsum(np.where(free, gain, 0), axis=1)
    blocked = np.maximum.accumulate(np.where(free, -1, index[None]), axis=1)  # last blocked column so far
    before = np.where(blocked >= 0, np.take_along_axis(total, np.maximum(blocked, 0), axis=1), 0)
    score = np.where(
        free, (total - before) * (columns + 1) + index - blocked, -1
    )  # equal gain: the longer run
    stop = score.argmax(axis=1)
    row = np.arange(len(free))
    value = np.where(free[row, stop], (total - before)[row, stop], -1)
    return value, blocked[row, stop] + 1, stop + 1


def _boxes(
    terrain: Terrain, rectangles: np.ndarray, tops: np.ndarray, floor_depth: float, skirt: float
) -> tuple[np.ndarray, np.ndarray]:
    origin, cell, shape = terrain.origin_xy.astype(np.float64), terrain.cell, np.array(terrain.shape)
    first, stop = rectangles[:, :2], rectangles[:, 2:]
    low = origin + (first - 0.5) * cell - skirt * (first == 0)
    high = origin + (stop - 0.5) * cell + skirt * (stop == shape)
    bottom = np.full(len(tops), tops.min() - floor_depth)
    low, high = np.column_stack([low, bottom]), np.column_stack([high, tops])
    order = np.argsort(-np.prod(high - low, axis=1), kind="stable")
    return ((low + high) / 2)[order], ((high - low) / 2)[order]
