"""The ground under a line: what kind of going it is, and the highest step on it."""

from __future__ import annotations

import numpy as np

from parc_motion.terrains import Path, SegmentKind, Terrain

__all__ = ["highest_step", "kinds_by_rise", "path_on_ground"]


def kinds_by_rise(rise: np.ndarray, walk_z: float) -> np.ndarray:
    """Climb, drop or walk for each rise ``[n]`` m: up to `walk_z` m up or down is walking."""
    limit = walk_z + 1e-4
    return np.select([rise > limit, rise < -limit], [SegmentKind.CLIMB, SegmentKind.DROP], SegmentKind.WALK)


def path_on_ground(terrain: Terrain, xy: np.ndarray, walk_z: float, cost: float) -> Path:
    """The path over points ``[n, 2]`` m, each at the height of the cell that it lies on."""
    z = terrain.height_at(xy).astype(np.float64)
    return Path(points=np.column_stack([xy, z]), kinds=kinds_by_rise(np.diff(z), walk_z), cost=cost)


def highest_step(terrain: Terrain, xy: np.ndarray) -> tuple[float, np.ndarray]:
    """The highest step, up or down, between two cells that a line crosses one after the other, and where it is.

    Every cell counts, also one that the line only just touches between two of its points.

    Args:
        xy: points of the line, at most a cell apart, ``[n, 2]`` m.

    Returns:
        The step in meters, 0 where the line stays on one level, and the place ``[2]`` m.
    """
    start = (xy[:-1] - terrain.origin_xy) / terrain.cell
    move = (xy[1:] - xy[:-1]) / terrain.cell
    # times at which a piece of the line crosses the side of a cell, at most once along each axis
    side = np.floor(np.minimum(start, start + move) + 0.5) + 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = np.where(move != 0, (side - start) / move, 1.0)
    cross = np.clip(np.sort(cross, axis=1), 0.0, 1.0)
    times = np.concatenate([np.zeros((len(move), 1)), cross, np.ones((len(move), 1))], axis=1)
    middle = (times[:, 1:] + times[:, :-1]) / 2
    crossed = (np.diff(times, axis=1) > 1e-9).ravel()  # nothing lies between two equal times
    points = (xy[:-1, None] + middle[..., None] * (xy[1:] - xy[:-1])[:, None]).reshape(-1, 2)[crossed]
    if len(points) < 2:
        return 0.0, xy[0]
    step = np.abs(np.diff(terrain.height_at(points).astype(np.float64)))
    worst = int(step.argmax())
    return float(step[worst]), (points[worst] + points[worst + 1]) / 2
