"""The terrain of a variation: scaled, rotated, resampled on a new grid, with boxes, and fitted to the stance phases.

Cells remain squares of the same size, so rotated or scaled terrain has to be resampled, and edges move by up to half a
cell. Three steps keep the feet on it: the grid is shifted to where the fewest supporting points get a wrong height;
each cell under supporting points gets the height that most of them need; cells that a body would penetrate deeply are
lowered.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_data.augment.parameters import Box
from parc_data.box_terrain import MAX_CELLS, cell_centers
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains, penetration_depth
from parc_motion.terrains import Terrain

__all__ = ["Placement", "level_cells", "lower_cells", "place_boxes", "transformed_terrain"]

SAME = 0.01  # m: heights closer than this count as equal
_PHASES = 8  # shifts of the grid that are tried along each axis, in parts of a cell
_MAX_POINTS = 4000
_DEEP = 0.12  # m: the optimizer resolves smaller penetrations
_ROOM = 0.01  # m: remaining penetration that is allowed in a lowered cell


@attrs.frozen(kw_only=True, eq=False)
class Placement:
    """Affine map of the source terrain: rotation and scaling in the plane, then scaling of the heights."""

    matrix: np.ndarray  # [2, 2]
    old_center: np.ndarray  # [2] m
    new_center: np.ndarray  # [2] m
    base: float  # m, height that scaling does not change
    height_scale: float
    up: float  # m, added to all heights

    def forward(self, xy: np.ndarray) -> np.ndarray:
        """Points of the source in the plane of the variation, ``[..., 2]`` m."""
        return self.new_center + (xy - self.old_center) @ self.matrix.T

    def back(self, xy: np.ndarray) -> np.ndarray:
        """The inverse of `forward`, ``[..., 2]`` m."""
        return self.old_center + (xy - self.new_center) @ np.linalg.inv(self.matrix).T

    def height(self, height: np.ndarray) -> np.ndarray:
        """Heights of the source in the variation, m."""
        return self.up + self.base + self.height_scale * (np.asarray(height, dtype=np.float64) - self.base)


def transformed_terrain(
    source: Terrain,
    placement: Placement,
    root_xy: np.ndarray,
    padding: float,
    xy: np.ndarray,
    levels: np.ndarray,
) -> Terrain:
    """The transformed terrain of the source, on cells of the same size.

    Args:
        root_xy: root positions of the variation, ``[T, 2]`` m; the grid extends `padding` m further.
        xy: supporting points of the variation, ``[n, 2]`` m.
        levels: height of the ground that each of them needs, ``[n]`` m.

    Raises:
        DataError: it needs too many cells.
    """
    cell, start = source.cell, placement.forward(source.origin_xy.astype(np.float64))
    phases = [np.array(shift) / _PHASES for shift in np.ndindex(_PHASES, _PHASES)]
    if np.ptp(source.height) < SAME or not len(xy):
        phases = phases[:1]
    every = max(len(xy) // _MAX_POINTS, 1)
    xy, levels = xy[::every], levels[::every]
    errors = []
    for phase in phases:
        origin = start + phase * cell
        centers = origin + np.floor((xy - origin) / cell + 0.5) * cell
        seen = placement.height(source.height_at(placement.back(centers)))
        errors.append((np.abs(seen - levels) > SAME).mean() if len(xy) else 0.0)
    best = int(np.argmin(np.round(errors, 4)))  # among equal errors the first: the grid of the source
    origin = start + phases[best] * cell
    first = np.floor((root_xy.min(axis=0) - padding - origin) / cell + 0.5)
    count = np.floor((root_xy.max(axis=0) + padding - origin) / cell + 0.5) - first + 1
    if count.prod() > MAX_CELLS:
        raise DataError(
            f"the terrain needs {count[0]:.0f} x {count[1]:.0f} cells of {cell:g} m, more than {MAX_CELLS} in all. Is "
            "the unit of the motion right?"
        )
    grid = Terrain(height=np.zeros(count.astype(np.int64)), origin_xy=origin + first * cell, cell=cell)
    old = placement.back(cell_centers(grid).astype(np.float64))
    return attrs.evolve(grid, height=placement.height(source.height_at(old)))


def place_boxes(terrain: Terrain, boxes: tuple[Box, ...], root_xy: np.ndarray) -> Terrain:
    """The terrain with boxes on it; where boxes overlap, the higher one counts."""
    centers = cell_centers(terrain)
    rise = np.zeros(terrain.shape)
    for box in boxes:
        inside = (np.abs(centers - root_xy[box.frame]) <= 0.5 * np.array(box.sides)).all(axis=-1)
        inside[tuple(terrain.cell_of(root_xy[box.frame]))] = True  # even a small box raises one cell
        rise = np.where(inside & (np.abs(box.height) > np.abs(rise)), box.height, rise)
    return attrs.evolve(terrain, height=terrain.height + rise)


def level_cells(terrain: Terrain, xy: np.ndarray, levels: np.ndarray) -> Terrain:
    """The terrain in which each cell under supporting points has the height that most of them need.

    Args:
        xy: supporting points, ``[n, 2]`` m.
        levels: height of the ground that each of them needs, ``[n]`` m.
    """
    if not len(xy):
        return terrain
    values, which = np.unique(np.round(levels, 4), return_inverse=True)
    cells = terrain.cell_of(xy)
    flat = cells[:, 0] * terrain.shape[1] + cells[:, 1]
    stood, row = np.unique(flat, return_inverse=True)
    votes = np.zeros((len(stood), len(values)))
    np.add.at(votes, (row, which), 1.0)
    height = terrain.height.copy()
    height.reshape(-1)[stood] = values[votes.argmax(axis=1)]
    return attrs.evolve(terrain, height=height)


def lower_cells(terrain: Terrain, points: np.ndarray, stood: np.ndarray) -> Terrain:
    """The terrain with deeply penetrated cells lowered to the next neighboring level that frees the body.

    Args:
        points: surface points of all bodies in all frames, ``[T, P, 3]`` m.
        stood: supporting points, ``[n, 2]`` m; their cells do not change.
    """
    packed, ids = PackedTerrains.of([terrain], dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    depth = penetration_depth(packed, ids, torch.from_numpy(points[None]))[0].numpy()
    deep = points[depth > _DEEP]
    if not len(deep):
        return terrain
    lowest = np.full(terrain.shape, np.inf)
    np.minimum.at(lowest, tuple(terrain.cell_of(deep[:, :2]).T), deep[:, 2])
    if len(stood):
        lowest[tuple(terrain.cell_of(stood).T)] = np.inf
    height = terrain.height.copy()
    for i, j in np.argwhere(np.isfinite(lowest)):
        around = terrain.height[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
        below = around[around <= lowest[i, j] + _ROOM]
        height[i, j] = min(below.max() if len(below) else lowest[i, j], height[i, j])
    return attrs.evolve(terrain, height=height)
