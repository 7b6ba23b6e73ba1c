"""Winding tracks of different height over low ground.

Source: `parc_motion.published`: random turning, number of steps, heights and widening.
"""

from __future__ import annotations

import attrs
import numpy as np
from scipy.ndimage import maximum_filter

from parc_core.config import setting
from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Terrain
from parc_terrain.grid import HIGHEST, GridConfig, check_order

__all__ = ["PathsConfig", "PathsTerrain"]

_STEPS, _DT = 1000, 1.0 / 30.0  # s
_TURN_RATE = 7.0  # rad/s per unit of noise


@attrs.frozen(kw_only=True)
class PathsConfig(GridConfig):
    """Settings of `paths`."""

    num_paths: int = setting(8, ge=0, le=1000, help="Number of tracks per terrain.")
    maxpool_size: int = setting(
        1, ge=0, le=100, unit="cells", help="Distance by which a track is widened to each side."
    )
    path_min_height: float = setting(
        -1.6, ge=-HIGHEST, le=HIGHEST, unit="m", help="Minimum height of a track."
    )
    path_max_height: float = setting(
        2.0, ge=-HIGHEST, le=HIGHEST, unit="m", help="Maximum height of a track."
    )
    floor_height: float = setting(
        -2.0, ge=-HIGHEST, le=HIGHEST, unit="m", help="Height of the ground between the tracks."
    )

    def __attrs_post_init__(self) -> None:
        check_order("paths", self, ("path_min_height", "path_max_height"))


class PathsTerrain(TerrainSource):
    """Tracks that wander at random, each at its own height; the higher of two that meet wins where they are widened."""

    def __init__(self, config: PathsConfig) -> None:
        self.config = config

    def sample(self, rng: np.random.Generator) -> Terrain:
        """A terrain with its own tracks."""
        config, count = self.config, self.config.num_paths
        size = np.array([config.dim_x, config.dim_y])
        start = rng.uniform(0.0, 1.0, (count, 2)) * size * config.cell
        sideways = rng.normal(size=count)
        heading = rng.uniform(0.0, 2 * np.pi, count) + np.arctan2(sideways, 1.0)
        turn = np.cumsum(rng.normal(size=(count, _STEPS)) * _DT * _TURN_RATE, axis=1)
        level = rng.uniform(config.path_min_height, config.path_max_height, count)
        angle = heading[:, None] + turn
        velocity = np.hypot(1.0, sideways)[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        visited = start[:, None] + np.cumsum(velocity * _DT, axis=1)
        index = np.clip(np.round(visited / config.cell).astype(np.int64), 0, size - 1)
        height = np.full(size, config.floor_height)
        # in the order of the tracks, so that a later one overwrites
        height[index[..., 0].ravel(), index[..., 1].ravel()] = np.repeat(level, _STEPS)
        return config.terrain(maximum_filter(height, size=2 * config.maxpool_size + 1, mode="nearest"))
