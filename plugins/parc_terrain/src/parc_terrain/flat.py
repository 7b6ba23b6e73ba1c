"""Level ground."""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Terrain
from parc_terrain.grid import HIGHEST, GridConfig

__all__ = ["FlatConfig", "FlatTerrain"]


@attrs.frozen(kw_only=True)
class FlatConfig(GridConfig):
    """Settings of `flat`."""

    height: float = setting(0.0, ge=-HIGHEST, le=HIGHEST, unit="m", help="Height of the ground.")


class FlatTerrain(TerrainSource):
    """The same level ground every time."""

    def __init__(self, config: FlatConfig) -> None:
        self.config = config

    def sample(self, rng: np.random.Generator) -> Terrain:
        """Level ground; `rng` is not used."""
        return self.config.terrain(np.full((self.config.dim_x, self.config.dim_y), self.config.height))
