"""Exact distance of single points to blocky ground: own column first, then rings of cells until none can be nearer."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from parc_kinopt.compiled.jit import kernel
from parc_motion.terrains import Terrain

__all__ = ["Ground", "column_of", "make_ground", "offset_to_column", "surface_from"]


class Ground(NamedTuple):
    """One terrain; outside its grid the border cells go on without end."""

    height: np.ndarray  # [nx, ny] m
    origin: np.ndarray  # [2] m, center of cell (0, 0)
    cell: float  # m


def make_ground(terrain: Terrain) -> Ground:
    """The terrain in float64."""
    return Ground(
        height=np.ascontiguousarray(terrain.height, np.float64),
        origin=np.ascontiguousarray(terrain.origin_xy, np.float64),
        cell=float(terrain.cell),
    )


@kernel(inline="always")
def column_of(x: float, y: float, ground: Ground) -> tuple[int, int]:
    """Cell that a point lies in or, outside the grid, the nearest one."""
    i = math.floor((x - ground.origin[0]) / ground.cell + 0.5)
    j = math.floor((y - ground.origin[1]) / ground.cell + 0.5)
    return min(max(i, 0), ground.height.shape[0] - 1), min(max(j, 0), ground.height.shape[1] - 1)


@kernel(inline="always")
def offset_to_column(p: float, index: int, count: int, origin: float, cell: float) -> float:
    """How far the coordinate has to go to reach a cell's interval, with sign; border cells have no outer end."""
    low = origin + (index - 0.5) * cell
    if index > 0 and p < low:
        return low - p
    high = low + cell
    if index < count - 1 and p > high:
        return high - p
    return 0.0


@kernel()
def surface_from(
    x: float, y: float, z: float, ground: Ground, inside: bool, most: float
) -> tuple[float, float, float, float]:
    """Distance to the nearest solid column (or, from inside, to the nearest column of air), and the way there.

    Args:
        inside: whether the point lies below the top of its own column.
        most: distances beyond it are of no interest, m; the search stops there.

    Returns:
        Distance m and the vector ``(dx, dy, dz)`` m to the nearest surface point; distance `most` and zeros when there
        is none nearer.
    """
    nx, ny = ground.height.shape
    own_i, own_j = column_of(x, y, ground)
    best, bx, by, bz = most, 0.0, 0.0, 0.0
    for ring in range(max(nx, ny)):
        if ring > 0:
            # the nearest side of the square of cells that were looked at
            side = math.inf
            if own_i - ring >= 0:
                side = min(side, abs(offset_to_column(x, own_i - ring, nx, ground.origin[0], ground.cell)))
            if own_i + ring < nx:
                side = min(side, abs(offset_to_column(x, own_i + ring, nx, ground.origin[0], ground.cell)))
            if own_j - ring >= 0:
                side = min(side, abs(offset_to_column(y, own_j - ring, ny, ground.origin[1], ground.cell)))
            if own_j + ring < ny:
                side = min(side, abs(offset_to_column(y, own_j + ring, ny, ground.origin[1], ground.cell)))
            if side >= best:
                break
        for i in range(max(own_i - ring, 0), min(own_i + ring, nx - 1) + 1):
            edge = abs(i - own_i) == ring
            dx = offset_to_column(x, i, nx, ground.origin[0], ground.cell)
            if abs(dx) >= best:
                continue
            step = 1 if edge else 2 * ring
            j = own_j - ring
            while j <= own_j + ring:
                if 0 <= j < ny:
                    dy = offset_to_column(y, j, ny, ground.origin[1], ground.cell)
                    dz = ground.height[i, j] - z
                    # a solid column answers from its top down, a column of air from its ground up
                    dz = max(dz, 0.0) if inside else min(dz, 0.0)
                    square = dx * dx + dy * dy + dz * dz
                    if square < best * best:
                        best, bx, by, bz = math.sqrt(square), dx, dy, dz
                j += max(step, 1)
    return best, bx, by, bz
