"""Blocky ground as triangles, for simulators and renderers that take meshes.

The surface is exact: a level rectangle for each group of cells that makes one, and a wall wherever two neighbours
differ, once and from the higher side. Two layouts of the level rectangles are tried, rows first and columns first,
and the one with fewer is kept: one or two in a hundred more than growing them one by one, in numpy throughout.

Every rectangle has its own four corners, so that it is shaded flat. Where rectangles of different length meet, a
corner of one lies on the edge of another. Both lie on the same line along an axis, with equal coordinates to the
last bit, so nothing shows through; a program that wants each edge in exactly two triangles has to split them.
"""

from __future__ import annotations

import numpy as np

from parc_motion.geometry.lines import cell_lines, check_extent
from parc_motion.terrains import Terrain

__all__ = ["blocky_mesh"]


def blocky_mesh(
    terrain: Terrain, floor_depth: float | None = None, skirt: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the terrain's surface, counter-clockwise seen from outside the ground.

    Args:
        floor_depth: thickness of the ground under its lowest cell, m; outer walls and a bottom then close the mesh.
            None leaves it open at the border and below.
        skirt: how far the border cells reach outside the grid, m; 0 or more.

    Returns:
        Vertices ``[V, 3]`` float64 m and triangles ``[F, 3]`` int64. Triangles 2k and 2k + 1 are one rectangle.

    Raises:
        DataError: `floor_depth` or `skirt` is out of range.
    """
    check_extent("blocky_mesh", 1.0 if floor_depth is None else floor_depth, skirt)
    height = terrain.height.astype(np.float64)
    floor = None if floor_depth is None else height.min() - floor_depth
    x, y = cell_lines(terrain, skirt)
    (x0, x1, y0, y1), top = _tops(height)
    quads = [_quads(x[[x0, x1, x1, x0]], y[[y0, y0, y1, y1]], top[None])]
    line, first, stop, near, far = _walls(height, floor)  # near: towards the lower index
    quads.append(_quads(x[line][None], y[[first, stop, stop, first]], np.array([far, far, near, near])))
    line, first, stop, near, far = _walls(height.T, floor)
    quads.append(_quads(x[[first, stop, stop, first]], y[line][None], np.array([near, near, far, far])))
    if floor is not None:
        quads.append(np.array([[x[i], y[j], floor] for i, j in ((0, 0), (0, -1), (-1, -1), (-1, 0))])[None])
    vertices = np.concatenate(quads).reshape(-1, 3)
    corners = np.arange(0, len(vertices), 4)[:, None] + np.array([0, 1, 2, 0, 2, 3])
    return vertices, corners.reshape(-1, 3)


def _quads(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Corners ``[Q, 4, 3]`` of coordinates ``[4 or 1, Q]``."""
    quads = np.empty((max(x.shape[1], y.shape[1], z.shape[1]), 4, 3))
    quads[..., 0], quads[..., 1], quads[..., 2] = x.T, y.T, z.T
    return quads


def _tops(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rectangles of equal cells that hold each cell once: borders ``[4, K]`` (i0, i1, j0, j1), heights ``[K]``."""
    rows_first, columns_first = _equal_rectangles(height), _equal_rectangles(height.T)
    if columns_first.shape[1] < rows_first.shape[1]:
        rows_first = columns_first[[2, 3, 0, 1]]
    return rows_first, height[rows_first[0], rows_first[2]]


def _equal_rectangles(height: np.ndarray) -> np.ndarray:
    """Runs of equal cells along axis 1, joined along axis 0 where equal runs follow: ``[4, K]`` (i0, i1, j0, j1)."""
    columns = height.shape[1]
    begins = np.ones(height.shape, dtype=bool)
    np.not_equal(height[:, 1:], height[:, :-1], out=begins[:, 1:])
    begins = begins.ravel()
    start = begins.nonzero()[0]
    length = np.diff(start, append=height.size)
    level = height.ravel()[start]
    run_of = begins.cumsum() - 1
    before = run_of[start - columns]  # in the first row some other run, which does not begin there
    joins = (start[before] == start - columns) & (length[before] == length) & (level[before] == level)
    goes_on = np.zeros(len(start), dtype=bool)
    goes_on[before[joins]] = True
    row, column = np.divmod(start, columns)
    # by first column, rows rising: the n-th run that joins nothing and the n-th that goes no further make a rectangle
    order = np.argsort(column, kind="stable")
    first, last = order[~joins[order]], order[~goes_on[order]]
    return np.array([row[first], row[last] + 1, column[first], column[first] + length[first]])


def _walls(height: np.ndarray, floor: float | None) -> tuple[np.ndarray, ...]:
    """Walls across axis 0, merged along axis 1 where the heights on both sides agree.

    Args:
        floor: height outside the grid, m; None for no outer walls.

    Returns:
        For each wall its line across axis 0, first and stop line along axis 1, and the heights before and behind it.
    """
    if floor is not None:
        height = np.pad(height, ((1, 1), (0, 0)), constant_values=floor)
    near, far = height[:-1], height[1:]
    columns = height.shape[1]
    begins = np.ones(near.shape, dtype=bool)
    changes = height[:, 1:] != height[:, :-1]
    np.logical_or(changes[:-1], changes[1:], out=begins[:, 1:])
    start = begins.ravel().nonzero()[0]
    length = np.diff(start, append=near.size)
    near, far = near.ravel()[start], far.ravel()[start]
    wall = near != far
    line, first = np.divmod(start[wall], columns)
    return line + (floor is None), first, first + length[wall], near[wall], far[wall]
