"""The terrain grid that represents given ground best: its cell size and its offset.

Boxes of a capture and plateaus under its feet seldom lie on a grid of 0.4 m cells. Shifting the grid by a part of a
cell is free and puts most walls in the right place; if that is not enough, the cell size is halved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import numpy as np

from parc_data.formats.obj import Box, heights_of
from parc_motion.errors import DataError
from parc_motion.terrains import Terrain

__all__ = ["LARGEST_CELL", "PADDING", "best_grid", "boxes_terrain", "cell_centers", "level_grids"]

PADDING = 1.6  # m of ground around the root, as the procedural motions have
MAX_CELLS = 250_000
LARGEST_CELL = 0.4  # m, of all generated terrain
_CELLS = (LARGEST_CELL, 0.2, 0.1)  # m
_PHASES = 8  # shifts of the grid that are tried along each axis, in parts of a cell
_ACCEPTED_ERROR = 0.01  # accepted share of points near the ground with a wrong height
_NEAR = 0.15  # m above the ground
_HEIGHT_ERROR = 0.03  # m
_MAX_POINTS = 20_000


def boxes_terrain(boxes: list[Box], root_pos: np.ndarray, points: np.ndarray) -> tuple[Terrain, float]:
    """Boxes on level ground at z = 0 as a grid, chosen so that the heights under the motion are preserved.

    A cell has the height of the box that its center lies in, as in generated terrains: on average that neither widens
    nor narrows boxes. The cell size is the largest of 0.4, 0.2 and 0.1 m for which at most 1 % of the points near the
    ground get a wrong height, or else the best of them.

    Args:
        root_pos: ``[T, 3]`` m.
        points: where bodies are, ``[..., 3]`` m.

    Returns:
        The terrain, and the share of points near the ground for which it is more than 3 cm off.

    Raises:
        DataError: the motion covers so large an area that the grid needs too many cells.
    """
    points = points.reshape(-1, 3)
    points = points[:: max(len(points) * (1 + len(boxes) // 20) // _MAX_POINTS, 1)]
    true_height = heights_of(boxes, points[:, :2])

    def error(grid: Terrain) -> float:
        grid_height = heights_of(boxes, grid.center_of(grid.cell_of(points[:, :2]))[:, :2])
        near = points[:, 2] < np.maximum(grid_height, true_height) + _NEAR
        return float((np.abs(grid_height - true_height)[near] > _HEIGHT_ERROR).mean()) if near.any() else 0.0

    grid, wrong = best_grid(root_pos, error)
    return attrs.evolve(grid, height=heights_of(boxes, cell_centers(grid))), wrong


def best_grid(
    root_pos: np.ndarray, error: Callable[[Terrain], float], padding: float = PADDING
) -> tuple[Terrain, float]:
    """The level grid with the largest cells for which a shift with a small error exists; and that error.

    Args:
        error: the error of a grid: the share of points for which it is wrong.

    Raises:
        DataError: the motion covers so large an area that the grid needs too many cells.
    """
    best: tuple[float, Terrain] | None = None
    for cell in _CELLS:
        if best is not None and (best[0] <= _ACCEPTED_ERROR or not _fits(root_pos, cell, padding)):
            break
        tried = min(
            ((error(grid), grid) for grid in level_grids(root_pos, cell, padding)), key=lambda one: one[0]
        )
        if best is None or tried[0] < best[0]:
            best = tried
    assert best is not None
    return best[1], best[0]


def level_grids(root_pos: np.ndarray, cell: float, padding: float = PADDING) -> Iterator[Terrain]:
    """Level terrains that contain the motion with padding, one for each shift of the grid.

    Raises:
        DataError: the motion covers so large an area that the grid needs too many cells.
    """
    low, high = _extent(root_pos, padding)
    if not _fits(root_pos, cell, padding):
        raise DataError(
            f"the motion covers {high[0] - low[0]:.4g} x {high[1] - low[1]:.4g} m with padding, which needs "
            f"more than {MAX_CELLS} cells of {cell:g} m. Is its unit right?"
        )
    height = np.zeros(_counts(root_pos, cell, padding).astype(np.int64), dtype=np.float32)
    first = np.floor(low / cell) - 1
    for shift in np.ndindex(_PHASES, _PHASES):
        yield Terrain(height=height, origin_xy=(first + np.array(shift) / _PHASES) * cell, cell=cell)


def cell_centers(terrain: Terrain) -> np.ndarray:
    """Center of every cell, ``[nx, ny, 2]`` m."""
    return terrain.center_of(np.moveaxis(np.indices(terrain.shape), 0, -1))[..., :2]


def _extent(root_pos: np.ndarray, padding: float) -> tuple[np.ndarray, np.ndarray]:
    xy = root_pos[:, :2]
    return xy.min(axis=0) - padding, xy.max(axis=0) + padding


def _counts(root_pos: np.ndarray, cell: float, padding: float) -> np.ndarray:
    low, high = _extent(root_pos, padding)
    return np.ceil((high - low) / cell) + 3


def _fits(root_pos: np.ndarray, cell: float, padding: float) -> bool:
    return bool(_counts(root_pos, cell, padding).prod() <= MAX_CELLS)
