"""Blocky ground as few axis-aligned boxes, for simulators.

Level by level, each connected part of the ground that reaches it is covered greedily: of the largest rectangles that
fit into the part, always the one that holds most cells not covered yet. All largest rectangles of a part are found
once; after that a summed-area table of the missing cells weighs them all at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from parc_motion.geometry.lines import cell_lines, check_extent
from parc_motion.terrains import Terrain

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
        Centers ``[K, 3]`` and half sizes ``[K, 3]``, float64 m.

    Raises:
        DataError: `floor_depth` or `skirt` is out of range.
    """
    check_extent("box_cover", floor_depth, skirt)
    height = terrain.height.astype(np.float64)
    rectangles: list[np.ndarray] = []
    tops: list[float] = []
    levels, inverse = np.unique(height, return_inverse=True)
    for number, where in enumerate(ndimage.find_objects(inverse.reshape(height.shape) + 1)):
        level, corner = levels[number], [where[0].start, where[1].start] * 2
        near = height[where]  # cells beyond the ones of this level cannot help to cover them
        missing, allowed = near == level, near >= level if layered else near == level
        for found in _cover_parts(missing, allowed, layered):
            rectangles.append(found[[0, 2, 1, 3]] + corner)  # first and stop cell
            tops.append(float(level))
    return _boxes(terrain, np.array(rectangles), np.array(tops), floor_depth, skirt)


def _cover_parts(missing: np.ndarray, allowed: np.ndarray, overlap: bool) -> Iterator[np.ndarray]:
    """Cover of each connected part of `allowed` that holds missing cells: (i0, i1, j0, j1) each, stops excluded."""
    parts, _ = ndimage.label(allowed)
    for part, where in enumerate(ndimage.find_objects(np.where(missing, parts, 0)), start=1):
        if where is not None:
            inside = parts[where] == part
            i, j = where[0].start, where[1].start
            for found in _cover(missing[where] & inside, inside, overlap):
                yield found + np.array([i, i, j, j])


def _cover(missing: np.ndarray, allowed: np.ndarray, overlap: bool) -> Iterator[np.ndarray]:
    """Rectangles of allowed cells that hold all missing ones, always the one that adds most: (i0, i1, j0, j1)."""
    left, candidates = missing.copy(), _largest_rectangles(allowed)
    while True:
        i0, i1, j0, j1 = candidates.T
        total = np.zeros((left.shape[0] + 1, left.shape[1] + 1), dtype=np.int64)
        total[1:, 1:] = left.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
        gain = total[i1, j1] - total[i0, j1] - total[i1, j0] + total[i0, j0]
        best = int((gain * (left.size + 1) + (i1 - i0) * (j1 - j0)).argmax())  # of equal gains the largest
        if gain[best] == 0:
            return
        yield candidates[best]
        left[i0[best] : i1[best], j0[best] : j1[best]] = False
        if total[-1, -1] == gain[best]:
            return
        if not overlap:
            candidates = _without(candidates, candidates[best])


def _largest_rectangles(allowed: np.ndarray) -> np.ndarray:
    """Every rectangle of allowed cells that cannot grow to any side: ``[K, 4]`` (i0, i1, j0, j1), stops excluded.

    Row by row, each cell stands on a bar of allowed cells, as high as it goes; the widest rectangle of that height
    has its sides where the narrowest row of the bar has them.
    """
    rows, columns = allowed.shape
    if allowed.all():
        return np.array([[0, rows, 0, columns]])
    allowed = np.pad(allowed, ((0, 1), (0, 0)))  # nothing grows beyond the last row
    index = np.arange(columns)
    begin = np.maximum.accumulate(np.where(allowed, 0, index + 1), axis=1)  # of each cell's run along its row
    stop = np.minimum.accumulate(np.where(allowed, columns, index)[:, ::-1], axis=1)[:, ::-1]
    tall, left, right = np.zeros(columns, dtype=np.int64), begin[0], stop[0]
    found = []
    for i in range(rows):
        stands = tall > 0
        left = np.where(stands, np.maximum(left, begin[i]), begin[i])
        right = np.where(stands, np.minimum(right, stop[i]), stop[i])
        tall = np.where(allowed[i], tall + 1, 0)
        grows = allowed[i + 1] & (begin[i + 1] <= left) & (stop[i + 1] >= right)
        ends = (allowed[i] & ~grows).nonzero()[0]
        last = np.full(len(ends), i + 1)
        found.append(np.column_stack([last - tall[ends], last, left[ends], right[ends]]))
    return _distinct(np.concatenate(found), allowed.shape)


def _without(rectangles: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The rectangles with `taken` cut out: one that overlaps it leaves up to four, one at each side."""
    i0, i1, j0, j1 = rectangles.T
    hit = (i0 < taken[1]) & (i1 > taken[0]) & (j0 < taken[3]) & (j1 > taken[2])
    rest = [rectangles[~hit]]
    for column, limit in ((1, taken[0]), (0, taken[1]), (3, taken[2]), (2, taken[3])):
        piece = rectangles[hit]
        piece[:, column] = limit
        rest.append(piece[(piece[:, 0] < piece[:, 1]) & (piece[:, 2] < piece[:, 3])])
    pieces = np.concatenate(rest)
    return _distinct(pieces, tuple(pieces.max(axis=0)[[1, 3]])) if len(pieces) else pieces


def _distinct(rectangles: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Each rectangle once, in order of its corners."""
    number = np.ravel_multi_index(tuple(rectangles.T), (shape[0] + 1,) * 2 + (shape[1] + 1,) * 2)
    return rectangles[np.unique(number, return_index=True)[1]]


def _boxes(
    terrain: Terrain, rectangles: np.ndarray, tops: np.ndarray, floor_depth: float, skirt: float
) -> tuple[np.ndarray, np.ndarray]:
    x, y = cell_lines(terrain, skirt)
    bottom = np.full(len(tops), tops.min() - floor_depth)
    low = np.column_stack([x[rectangles[:, 0]], y[rectangles[:, 1]], bottom])
    high = np.column_stack([x[rectangles[:, 2]], y[rectangles[:, 3]], tops])
    order = np.argsort(-np.prod(high - low, axis=1), kind="stable")
    return ((low + high) / 2)[order], ((high - low) / 2)[order]
