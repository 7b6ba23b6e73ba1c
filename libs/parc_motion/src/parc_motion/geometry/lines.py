"""Where the cells of a terrain begin and end, and how far its solid reaches."""

from __future__ import annotations

import numpy as np

from parc_motion.errors import DataError
from parc_motion.terrains import Terrain

__all__ = ["cell_lines", "check_extent"]


def cell_lines(terrain: Terrain, skirt: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Borders of the cells along x and along y: ``[nx + 1]`` and ``[ny + 1]`` m, the outermost `skirt` further out."""
    lines = []
    for first, count in zip(terrain.origin_xy, terrain.shape):
        line = float(first) + (np.arange(count + 1) - 0.5) * terrain.cell
        line[0] -= skirt
        line[-1] += skirt
        lines.append(line)
    return lines[0], lines[1]


def check_extent(what: str, floor_depth: float, skirt: float) -> None:
    """Nothing, if a solid of that thickness under the lowest cell and that margin can be.

    Raises:
        DataError: `floor_depth` or `skirt` is out of range.
    """
    if not (0 < floor_depth < np.inf and 0 <= skirt < np.inf):
        raise DataError(
            f"{what} got floor_depth {floor_depth} m and skirt {skirt} m, expected more than 0 and at least 0."
        )
