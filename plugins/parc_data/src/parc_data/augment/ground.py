"""The ground of a variation: stretched and turned onto a grid of its own, with boxes, and right under every stand.

Cells stay squares of the same size, so turned or stretched ground has to be sampled anew, and edges move by up to half
a cell. Three things keep feet on it: the lines of the grid lie where the standing points see the fewest wrong
heights; cells that are stood on get the height that most of their points stand on; cells that a body would be deep in
are lowered.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_data.augment.draw import Box
from parc_data.box_terrain import MAX_CELLS, cell_centers
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains, penetration_depth
from parc_motion.terrains import Terrain

__all__ = ["Placement", "clear", "place_boxes", "settle", "turned_ground"]

SAME = 0.01  # m: heights closer than this are one
_PHASES = 8  # places of the grid's lines that are tried along each axis
_MOST_POINTS = 4000
_DEEP = 0.12  # m: the optimizer gets bodies out of the ground that are less deep in it
_ROOM = 0.01  # m: points may stay this deep under a cell that is lowered


@attrs.frozen(kw_only=True, eq=False)
class Placement:
    """Where the ground of the source goes: turned and stretched about a place, then its heights about another."""

    matrix: np.ndarray  # [2, 2]
    old_center: np.ndarray  # [2] m
    new_center: np.ndarray  # [2] m
    base: float  # m, height that stays
    height_scale: float
    up: float  # m, added to all heights

    def forward(self, xy: np.ndarray) -> np.ndarray:
        """New places of old ones, ``[..., 2]`` m."""
        return self.new_center + (xy - self.old_center) @ self.matrix.T

    def back(self, xy: np.ndarray) -> np.ndarray:
        """Old places of new ones, ``[..., 2]`` m."""
        return self.old_center + (xy - self.new_center) @ np.linalg.inv(self.matrix).T

    def height(self, height: np.ndarray) -> np.ndarray:
        """New heights of old ones, m."""
        return self.up + self.base + self.height_scale * (np.asarray(height, dtype=np.float64) - self.base)


def turned_ground(
    source: Terrain, placement: Placement, way: np.ndarray, padding: float, xy: np.ndarray, levels: np.ndarray
) -> Terrain:
    """The source's ground at its new place, on cells of the same size.

    Args:
        way: new places of the root, ``[T, 2]`` m; the grid reaches `padding` m further.
        xy: new places of the standing points, ``[n, 2]`` m.
        levels: heights that they stand on, ``[n]`` m.

    Raises:
        DataError: it needs too many cells.
    """
    cell, start = source.cell, placement.forward(source.origin_xy.astype(np.float64))
    phases = [np.array(shift) / _PHASES for shift in np.ndindex(_PHASES, _PHASES)]
    if np.ptp(source.height) < SAME or not len(xy):
        phases = phases[:1]
    every = max(len(xy) // _MOST_POINTS, 1)
    xy, levels = xy[::every], levels[::every]
    errors = []
    for phase in phases:
        origin = start + phase * cell
        centers = origin + np.floor((xy - origin) / cell + 0.5) * cell
        seen = placement.height(source.height_at(placement.back(centers)))
        errors.append((np.abs(seen - levels) > SAME).mean() if len(xy) else 0.0)
    best = int(np.argmin(np.round(errors, 4)))  # of equal ones the first: the lines that the source has
    origin = start + phases[best] * cell
    first = np.floor((way.min(axis=0) - padding - origin) / cell + 0.5)
    count = np.floor((way.max(axis=0) + padding - origin) / cell + 0.5) - first + 1
    if count.prod() > MAX_CELLS:
        raise DataError(
            f"the motion spreads over {count[0]:.0f} x {count[1]:.0f} cells of {cell:g} m, more than {MAX_CELLS} in "
            "all. Is its unit right?"
        )
    grid = Terrain(height=np.zeros(count.astype(np.int64)), origin_xy=origin + first * cell, cell=cell)
    old = placement.back(cell_centers(grid).astype(np.float64))
    return attrs.evolve(grid, height=placement.height(source.height_at(old)))


def place_boxes(terrain: Terrain, boxes: tuple[Box, ...], way: np.ndarray) -> Terrain:
    """The terrain, raised in a rectangle around the root of the frame of each box; where boxes overlap, by the most."""
    centers = cell_centers(terrain)
    rise = np.zeros(terrain.shape)
    for box in boxes:
        inside = (np.abs(centers - way[box.frame]) <= 0.5 * np.array(box.sides)).all(axis=-1)
        inside[tuple(terrain.cell_of(way[box.frame]))] = True  # a small box, too, is a cell
        rise = np.where(inside & (np.abs(box.height) > np.abs(rise)), box.height, rise)
    return attrs.evolve(terrain, height=terrain.height + rise)


def settle(terrain: Terrain, xy: np.ndarray, levels: np.ndarray) -> Terrain:
    """The terrain with every cell that is stood on at the height that most of the points over it stand on.

    Args:
        xy: standing points, ``[n, 2]`` m.
        levels: heights that they stand on, ``[n]`` m.
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


def clear(terrain: Terrain, points: np.ndarray, stood: np.ndarray) -> Terrain:
    """The terrain with cells lowered that a body is deep in: to the next level around that leaves room.

    Args:
        points: of all bodies in all frames, ``[T, P, 3]`` m.
        stood: points that stand, ``[n, 2]`` m; their cells stay.
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
