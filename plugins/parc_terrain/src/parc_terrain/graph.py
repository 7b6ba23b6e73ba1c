"""The cells of a terrain as nodes, and the moves between neighbors as edges with a length and a rise.

Source: `parc_motion.published`: neighbors by height difference, bumpiness. Jumps: `jumps`.
"""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np

from parc_motion.terrains import Terrain

__all__ = ["LEVEL", "ROUNDING", "Edges", "bumpiness", "neighbor_edges"]

LEVEL = 1e-3  # m, heights this close count as equal
ROUNDING = 1e-5  # m, what float32 heights may be off by; a limit that is met exactly is kept


@attrs.frozen(kw_only=True, eq=False)
class Edges:
    """Directed moves between cells; a cell's number is i * ny + j."""

    start: np.ndarray  # [E] int64
    stop: np.ndarray  # [E] int64
    length: np.ndarray  # [E] m, horizontal
    rise: np.ndarray  # [E] m, up is positive

    @classmethod
    def join(cls, parts: list[Edges]) -> Edges:
        """All edges of several sets."""
        names = ("start", "stop", "length", "rise")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def neighbor_edges(terrain: Terrain, max_z_diff: float, corner_cutting: bool) -> Edges:
    """Moves to the eight neighbors whose height differs by at most `max_z_diff` m.

    Without corner cutting a diagonal is closed where one of the two cells beside it is higher than both its ends:
    the body would pass through the corner of a wall.
    """
    nx, ny = terrain.shape
    start, stop, diagonal, sides = _grid_moves(nx, ny)
    height = terrain.height.astype(np.float64).ravel()
    rise = height[stop] - height[start]
    open_ = np.abs(rise) <= max_z_diff + ROUNDING
    if not corner_cutting:
        beside = height[sides].max(axis=0)
        open_[diagonal] &= beside <= np.maximum(height[start[diagonal]], height[stop[diagonal]]) + LEVEL
    length = np.full(len(start), terrain.cell)
    length[diagonal] *= np.sqrt(2.0)
    return Edges(start=start[open_], stop=stop[open_], length=length[open_], rise=rise[open_])


def bumpiness(height: np.ndarray) -> np.ndarray:
    """Mean height difference within the 3 x 3 cells around each cell and their neighbors: ``[nx, ny]`` m."""
    nx, ny = height.shape
    wide = np.pad(height.astype(np.float64), 2, mode="edge")
    total = np.zeros((nx + 2, ny + 2))
    for a in range(3):
        for b in range(3):
            total += np.abs(wide[1:-1, 1:-1] - wide[a : a + nx + 2, b : b + ny + 2])
    rows = total[:-2] + total[1:-1] + total[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 81.0


@lru_cache(maxsize=16)
def _grid_moves(nx: int, ny: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Start and stop cells of all moves ``[E]``, the diagonal moves ``[D]`` and the cells beside them ``[2, D]``."""
    index = np.arange(nx * ny).reshape(nx, ny)
    starts, stops, sides, diagonal = [], [], [], []
    for a, b in ((1, 0), (0, 1), (1, 1), (1, -1), (-1, 0), (0, -1), (-1, -1), (-1, 1)):
        rows = slice(max(0, -a), nx - max(0, a))
        columns = slice(max(0, -b), ny - max(0, b))
        cells = index[rows, columns].ravel()
        starts.append(cells)
        stops.append(cells + a * ny + b)
        diagonal.append(np.full(len(cells), bool(a and b)))
        if a and b:
            sides.append(np.stack([cells + a * ny, cells + b]))
    where = np.flatnonzero(np.concatenate(diagonal))
    return np.concatenate(starts), np.concatenate(stops), where, np.concatenate(sides, axis=1)
