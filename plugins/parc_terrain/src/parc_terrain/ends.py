"""Where a path may start and end: which cells, how far apart, and on level ground.

Source: `parc_motion.published`: cells near the border, or any; least distance. Unlike there no end lies on the
outermost row of cells, all pairs are looked at instead of a thousand random ones, and a pad is whole at the border.
"""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from parc_motion.terrains import Terrain
from parc_terrain.simplify import is_level_pad, level_pad, pad_start

__all__ = ["EndPicker"]


@attrs.frozen(kw_only=True)
class EndPicker:
    """Picks starts and goals on a terrain."""

    where: Literal["border", "anywhere"]
    distance: float  # m, least distance from start to goal
    pad: int  # side of the level square around each, in cells; 0 or 1 for none

    def cells(self, terrain: Terrain) -> np.ndarray:
        """Cells that may be an end, on level squares: ``[n, 2]``."""
        cells = self._places(terrain.shape)
        return cells[is_level_pad(terrain.height, cells, self.pad)] if self.pad > 1 else cells

    def far_from(self, terrain: Terrain, cells: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Which cells ``[n, 2]`` lie far enough from `start` ``[2]`` to be its goal: ``[n]`` bool."""
        distance = np.linalg.norm((cells - start) * terrain.cell, axis=1)
        return (distance >= self.distance - 1e-4) & (cells != start).any(axis=1)

    def level_two(self, terrain: Terrain, rng: np.random.Generator) -> np.ndarray:
        """Heights ``[nx, ny]`` with level squares around two random places that are far enough apart.

        A terrain too small for two such places gets none.
        """
        if self.pad <= 1:
            return terrain.height
        cells = self._places(terrain.shape)
        for pick in rng.permutation(len(cells)):
            start = cells[pick]
            far = self.far_from(terrain, cells, start)
            goals = cells[far][self._pads_agree(terrain, cells[far], start)]
            if len(goals):
                goal = goals[rng.integers(len(goals))]
                return level_pad(level_pad(terrain.height, start, self.pad), goal, self.pad)
        return terrain.height

    def too_small(self, terrain: Terrain) -> str:
        """Why there are no two ends."""
        size = " x ".join(f"{n * terrain.cell:.1f}" for n in terrain.shape)
        place = "cells near the border" if self.where == "border" else "cells"
        if self.pad > 1:
            place = f"level squares of {self.pad} cells" + (
                " near the border" if self.where == "border" else ""
            )
        return (
            f"no two {place} lie {self.distance} m apart on a terrain of {size} m; "
            "lower min_start_end_xy_dist or make the terrain larger."
        )

    def _places(self, shape: tuple[int, int]) -> np.ndarray:
        every = np.argwhere(np.ones(shape, dtype=bool))
        if self.where == "anywhere":
            return every
        last = np.array(shape) - 1
        inside = ((every >= 1) & (every < last)).all(axis=1)
        near = ((every <= 2) | (every >= last - 2)).any(axis=1)
        return every[inside & near] if (inside & near).any() else every

    def _pads_agree(self, terrain: Terrain, cells: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Where leveling the square of a cell leaves that of the start level: apart from it, or the same."""
        apart = np.abs(
            pad_start(cells, terrain.shape, self.pad) - pad_start(start, terrain.shape, self.pad)
        ).max(axis=1)
        return (apart == 0) | (apart >= self.pad)
