"""The part of a terrain around a motion, on the same grid of cells."""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.data.terrain import Terrain

__all__ = ["slice_around"]


def slice_around(terrain: Terrain, xy: np.ndarray, padding: float) -> Terrain:
    """The cells that lie within `padding` m of the motion's bounding box; coordinates stay those of the terrain.

    Where the motion is near the border or beyond it, border heights continue outward, as they do for every query.

    Args:
        xy: root positions, ``[T, 2]`` m.
    """
    low = np.floor((xy.min(axis=0) - padding - terrain.origin_xy) / terrain.cell + 0.5).astype(np.int64)
    high = np.floor((xy.max(axis=0) + padding - terrain.origin_xy) / terrain.cell + 0.5).astype(np.int64)
    rows, columns = (np.arange(low[a], high[a] + 1).clip(0, terrain.shape[a] - 1) for a in (0, 1))
    grid = np.ix_(rows, columns)
    return attrs.evolve(
        terrain,
        height=terrain.height[grid],
        origin_xy=terrain.origin_xy + low * np.float32(terrain.cell),
        bounds=None if terrain.bounds is None else terrain.bounds[grid],
    )
