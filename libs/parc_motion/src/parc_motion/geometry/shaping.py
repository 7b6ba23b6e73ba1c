"""Other heights on the same grid: pools, lines, ground that fits a motion.

Every function returns a new terrain and leaves its argument as it is. Where a terrain has bounds, no cell is changed
to a height outside its own.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
from scipy import ndimage

from parc_motion.checks import check_finite
from parc_motion.errors import DataError, ShapeError
from parc_motion.terrains import Terrain

__all__ = ["draw_line", "fit_under", "line_cells", "max_pool", "min_pool"]


def max_pool(terrain: Terrain, radius: int, axis: int | None = None) -> Terrain:
    """Every cell at the highest within `radius` cells: of the square around it, or of its line along one axis.

    Args:
        radius: cells; 0 changes nothing.
        axis: 0 for x, 1 for y, None for both.

    Raises:
        DataError: `radius` is negative, or there is no such axis.
    """
    return _pooled(terrain, radius, axis, ndimage.maximum_filter1d)


def min_pool(terrain: Terrain, radius: int, axis: int | None = None) -> Terrain:
    """Every cell at the lowest within `radius` cells; see `max_pool`."""
    return _pooled(terrain, radius, axis, ndimage.minimum_filter1d)


def line_cells(start: tuple[int, int], stop: tuple[int, int]) -> np.ndarray:
    """Cells of a straight line, both ends included, one per step along its longer axis: ``[n, 2]`` int64.

    Source: J. E. Bresenham, Algorithm for computer control of a digital plotter, 1965.
    """
    start, move = np.array(start), np.subtract(stop, start)
    steps = int(np.abs(move).max())
    at = np.arange(steps + 1)[:, None]
    return start + (2 * at * move + steps) // max(2 * steps, 1)  # rounded, without leaving whole numbers


def draw_line(
    terrain: Terrain, start: tuple[int, int], stop: tuple[int, int], height: float, width: int = 1
) -> Terrain:
    """The terrain with the cells along a line at one height.

    >>> start, stop = terrain.cell_of([[0.0, 1.0], [3.0, 2.0]])
    >>> wall = draw_line(terrain, start, stop, height=0.5)

    Args:
        start: its first cell.
        stop: its last cell.
        height: m.
        width: side of the square that is drawn around each cell of the line, cells; at the border it is cut.

    Raises:
        DataError: an end is outside the grid, the height is not finite, or the line has no width.
    """
    ends = np.array([start, stop])
    if (ends < 0).any() or (ends >= terrain.shape).any():
        raise DataError(
            f"draw_line: cells {ends[0].tolist()} to {ends[1].tolist()} are not both in the grid of "
            f"{terrain.shape[0]} x {terrain.shape[1]} cells; `pad` makes it larger."
        )
    if width < 1 or not np.isfinite(height):
        raise DataError(
            f"draw_line: width is {width} cells and height {height} m, expected at least 1 and a number."
        )
    brush = np.arange(width) - (width - 1) // 2
    cells = line_cells(*ends)
    i, j = cells[:, 0, None, None] + brush[:, None], cells[:, 1, None, None] + brush
    i, j = np.broadcast_arrays(i, j)
    inside = (i >= 0) & (i < terrain.shape[0]) & (j >= 0) & (j < terrain.shape[1])
    drawn = terrain.height.copy()
    drawn[i[inside], j[inside]] = height
    return _with_heights(terrain, drawn)


def fit_under(terrain: Terrain, points: np.ndarray, support: np.ndarray | None = None) -> Terrain:
    """The terrain made to fit a motion: no point is inside the ground, and every supported one stands on it.

    A cell with supported points over it is raised or lowered to the lowest of them. Then every cell that is still
    above a point is lowered to it. Other cells keep their heights. Points outside the grid count for the border cell
    that continues there. Bounds come first: where they forbid the height, the nearest one that they allow is taken.

    Args:
        points: lowest points of the bodies in all frames, ``[..., 3]`` m.
        support: those of bodies in contact, ``[..., 3]`` m; None for no contact.

    Raises:
        ShapeError: the last axis is not 3.
        DataError: a point is not finite.
    """
    cells, lowest = _lowest_over(terrain, points, "points")
    fitted = terrain.height.copy()
    if support is not None:
        stands, under = _lowest_over(terrain, support, "support")
        fitted[stands] = under[stands]
    fitted[cells] = np.minimum(fitted, lowest)[cells]
    return _with_heights(terrain, fitted)


def _lowest_over(terrain: Terrain, points: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Which cells have points over them ``[nx, ny]``, and the lowest of them ``[nx, ny]`` float32 m."""
    points = np.asarray(points, dtype=np.float64)
    if points.shape[-1:] != (3,):
        raise ShapeError(f"fit_under: {name} has shape {list(points.shape)}, expected [..., 3].")
    points = points.reshape(-1, 3)
    check_finite(points, f"fit_under: {name}")
    lowest = np.full(terrain.shape, np.inf)
    np.minimum.at(lowest, tuple(terrain.cell_of(points[:, :2]).T), points[:, 2])
    rounded = lowest.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.isfinite(lowest), np.where(rounded > lowest, lower, rounded)  # never above a point


def _pooled(terrain: Terrain, radius: int, axis: int | None, pool: Callable[..., np.ndarray]) -> Terrain:
    if radius < 0 or axis not in (None, 0, 1):
        raise DataError(
            f"pool: radius is {radius} cells and axis {axis}, expected 0 or more and 0, 1 or None."
        )
    height = terrain.height
    for along in (0, 1) if axis is None else (axis,):
        reach = min(radius, height.shape[along])  # a window as wide as the grid sees all of it
        height = pool(height, 2 * reach + 1, axis=along, mode="nearest")
    return _with_heights(terrain, height)


def _with_heights(terrain: Terrain, height: np.ndarray) -> Terrain:
    """The terrain with other heights, those that changed kept within their bounds."""
    if terrain.bounds is not None:
        allowed = height.clip(terrain.bounds[..., 0], terrain.bounds[..., 1])
        height = np.where(height == terrain.height, height, allowed)
    return attrs.evolve(terrain, height=height)
