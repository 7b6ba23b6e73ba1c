"""The cells of a terrain as nodes, and the moves between them as edges with a length and a rise.

Source: published PARC implementation: neighbours by height difference, jumps between cliff cells, step cost. Unlike
there a jump needs a gap: some cell below it is lower than both its ends, so jumps never replace walking.
"""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np

from parc_core.data.terrain import Terrain

__all__ = ["Edges", "bumpiness", "jump_edges", "neighbour_edges"]

_LEVEL = 1e-3  # m, heights this close count as equal


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
        return cls(
            **{
                name: np.concatenate([getattr(p, name) for p in parts])
                for name in ("start", "stop", "length", "rise")
            }
        )


def neighbour_edges(terrain: Terrain, max_z_diff: float, corner_cutting: bool) -> Edges:
    """Moves to the eight neighbours whose height differs by at most `max_z_diff` m.

    Without corner cutting a diagonal is closed where one of the two cells beside it is higher than both its ends:
    the body would pass through the corner of a wall.
    """
    nx, ny = terrain.shape
    start, stop, diagonal, sides = _grid_moves(nx, ny)
    height = terrain.height.astype(np.float64).ravel()
    rise = height[stop] - height[start]
    open_ = np.abs(rise) <= max_z_diff
    if not corner_cutting:
        beside = height[sides].max(axis=0)
        open_[diagonal] &= beside <= np.maximum(height[start[diagonal]], height[stop[diagonal]]) + _LEVEL
    length = np.full(len(start), terrain.cell)
    length[diagonal] *= np.sqrt(2.0)
    return Edges(start=start[open_], stop=stop[open_], length=length[open_], rise=rise[open_])


def jump_edges(terrain: Terrain, max_distance: float, min_rise: float, max_rise: float) -> Edges:
    """Jumps over a gap from one cliff cell to another.

    A cliff cell lies off the border and has a lower cell beside it. The cells that the straight line between the two
    centres crosses must all be lower than the take-off plus `max_rise`, and one must be lower than both ends.

    Args:
        max_distance: horizontal, m.
        min_rise: lowest rise from take-off to landing, m (negative: down).
        max_rise: highest rise, m.
    """
    nx, ny = terrain.shape
    height = terrain.height.astype(np.float64)
    cliffs = _cliff_cells(height)
    offsets, lines = _jump_offsets(round(max_distance / terrain.cell, 9))
    cells = np.argwhere(cliffs)
    if len(cells) == 0 or len(offsets) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return Edges(start=empty, stop=empty, length=np.zeros(0), rise=np.zeros(0))
    reach = int(np.abs(offsets).max())
    # a frame of cells where nobody lands, so that no index leaves the grid
    framed = np.zeros((nx + 2 * reach, ny + 2 * reach), dtype=bool)
    framed[reach : reach + nx, reach : reach + ny] = cliffs
    width = framed.shape[1]
    from_cell = (cells[:, 0] + reach) * width + cells[:, 1] + reach
    hit = framed.ravel()[from_cell[:, None] + (offsets[:, 0] * width + offsets[:, 1])[None, :]]
    which, offset = np.nonzero(hit)
    start = cells[which, 0] * ny + cells[which, 1]
    stop = start + offsets[offset, 0] * ny + offsets[offset, 1]
    flat = height.ravel()
    rise = flat[stop] - flat[start]
    fits = (rise >= min_rise - _LEVEL) & (rise <= max_rise + _LEVEL)
    start, stop, offset, rise = start[fits], stop[fits], offset[fits], rise[fits]
    below = flat[
        start[:, None] + lines[offset, :, 0] * ny + lines[offset, :, 1]
    ]  # padding repeats a cell of the line
    clear = below.max(axis=1) < flat[start] + max_rise + _LEVEL
    gap = below.min(axis=1) < np.minimum(flat[start], flat[stop]) - _LEVEL
    ok = clear & gap
    length = terrain.cell * np.hypot(offsets[offset[ok], 0], offsets[offset[ok], 1])
    return Edges(start=start[ok], stop=stop[ok], length=length, rise=rise[ok])


def bumpiness(height: np.ndarray) -> np.ndarray:
    """Mean height difference within the 3 x 3 cells around each cell and their neighbours: ``[nx, ny]`` m."""
    nx, ny = height.shape
    wide = np.pad(height.astype(np.float64), 2, mode="edge")
    total = np.zeros((nx + 2, ny + 2))
    for a in range(3):
        for b in range(3):
            total += np.abs(wide[1:-1, 1:-1] - wide[a : a + nx + 2, b : b + ny + 2])
    rows = total[:-2] + total[1:-1] + total[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 81.0


def _cliff_cells(height: np.ndarray) -> np.ndarray:
    cliffs = np.zeros(height.shape, dtype=bool)
    inner = height[1:-1, 1:-1]
    lowest = np.minimum(
        np.minimum(height[:-2, 1:-1], height[2:, 1:-1]), np.minimum(height[1:-1, :-2], height[1:-1, 2:])
    )
    cliffs[1:-1, 1:-1] = lowest < inner - _LEVEL
    return cliffs


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


@lru_cache(maxsize=16)
def _jump_offsets(max_cells: float) -> tuple[np.ndarray, np.ndarray]:
    """Every offset that is no neighbour ``[K, 2]``, and the cells between along it ``[K, L, 2]``.

    Those are the cells whose inside the line between the centres crosses; the first repeats to equal length.
    """
    reach = int(np.floor(max_cells))
    span = np.arange(-reach, reach + 1)
    a, b = (grid.ravel() for grid in np.meshgrid(span, span, indexing="ij"))
    far = (np.maximum(np.abs(a), np.abs(b)) >= 2) & (np.hypot(a, b) <= max_cells + 1e-9)
    offsets = np.stack([a[far], b[far]], axis=1)
    if len(offsets) == 0:
        return offsets, np.zeros((0, 1, 2), dtype=np.int64)
    lines = [_cells_between(int(x), int(y)) for x, y in offsets]
    longest = max(len(line) for line in lines)
    padded = np.stack(
        [np.concatenate([line, np.repeat(line[:1], longest - len(line), axis=0)]) for line in lines]
    )
    return offsets, padded


def _cells_between(a: int, b: int) -> np.ndarray:
    """Cells crossed by the line from (0, 0) to (a, b), both ends left out: ``[L, 2]`` int64."""
    # the line changes its cell where it crosses a half-integer coordinate; look between two such places
    crossings = [0.0, 1.0]
    for step in (abs(a), abs(b)):
        crossings += [(k + 0.5) / step for k in range(step)]
    times = np.unique(np.round(crossings, 12))
    middle = (times[1:] + times[:-1]) / 2
    cells = np.unique(np.floor(middle[:, None] * np.array([a, b]) + 0.5).astype(np.int64), axis=0)
    ends = (cells == 0).all(axis=1) | (cells == np.array([a, b])).all(axis=1)
    return cells[~ends]
