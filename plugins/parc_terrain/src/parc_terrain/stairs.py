"""Staircases in any direction.

Source: `parc_motion.published`: number of steps, step height, width and placement.
"""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Terrain
from parc_terrain.grid import HIGHEST, GridConfig, check_order
from parc_terrain.rectangles import draw_rectangles

__all__ = ["StairConfig", "StairTerrain"]


@attrs.frozen(kw_only=True)
class StairConfig(GridConfig):
    """Settings of `stairs`."""

    num_stairs: int = setting(4, ge=0, le=1000, help="Number of staircases per terrain.")
    min_start_height: float = setting(
        -3.0,
        ge=-HIGHEST,
        le=HIGHEST,
        unit="m",
        help="Minimum height of the first step; the surrounding ground is at 0.",
    )
    max_start_height: float = setting(
        1.0, ge=-HIGHEST, le=HIGHEST, unit="m", help="Maximum height of the first step."
    )
    min_step_height: float = setting(
        0.15, ge=-2.0, le=2.0, unit="m", help="Minimum rise of a step; a negative rise leads down."
    )
    max_step_height: float = setting(0.25, ge=-2.0, le=2.0, unit="m", help="Maximum rise of a step.")
    min_width: float = setting(2.0, ge=1e-6, le=100.0, unit="m", help="Minimum width of a staircase.")
    max_width: float = setting(8.0, ge=1e-6, le=100.0, unit="m", help="Maximum width of a staircase.")

    def __attrs_post_init__(self) -> None:
        pairs = ((f"min_{name}", f"max_{name}") for name in ("start_height", "step_height", "width"))
        check_order("stairs", self, *pairs)


class StairTerrain(TerrainSource):
    """Straight staircases between random points of level ground at 0; later ones overwrite earlier ones.

    Every tread is one cell deep along the stair, so that none falls between two cell centers.
    """

    def __init__(self, config: StairConfig) -> None:
        self.config = config

    def sample(self, rng: np.random.Generator) -> Terrain:
        """A terrain with its own stairs."""
        config = self.config
        count, shape = config.num_stairs, np.array([config.dim_x, config.dim_y])
        start = rng.uniform(0.0, 1.0, (count, 2)) * shape  # cells
        stop = rng.uniform(0.0, 1.0, (count, 2)) * shape
        base = rng.uniform(config.min_start_height, config.max_start_height, count)
        rise = rng.uniform(config.min_step_height, config.max_step_height, count)
        width = rng.uniform(config.min_width, config.max_width, count) / config.cell
        length = np.linalg.norm(stop - start, axis=1)
        steps = np.maximum(np.ceil(length), 1).astype(np.int64)
        stair = np.repeat(np.arange(count), steps)
        number = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
        center = start[stair] + (number / steps[stair])[:, None] * (stop - start)[stair]
        size = np.stack([np.ones(len(stair)), width[stair]], axis=1)
        angle = np.arctan2(stop[:, 1] - start[:, 1], stop[:, 0] - start[:, 0])[stair]
        value = base[stair] + number * rise[stair]
        return config.terrain(draw_rectangles(np.zeros(shape), center, size, angle, value))
