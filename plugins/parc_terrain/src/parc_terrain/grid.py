"""Size of the terrains that the sources make by rule, and the checks that their settings share."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.errors import ConfigError
from parc_motion.terrains import Terrain

__all__ = ["HIGHEST", "GridConfig", "check_order"]

HIGHEST = 100.0  # m, up or down; heights are stored as float32, which is exact to 0.01 mm here


@attrs.frozen(kw_only=True)
class GridConfig:
    """Number and size of the cells; every source that makes terrain by rule has these settings."""

    dim_x: int = setting(16, ge=1, le=1000, help="Number of cells along x.")
    dim_y: int = setting(16, ge=1, le=1000, help="Number of cells along y.")
    cell: float = setting(0.4, ge=0.01, le=10.0, unit="m", help="Side length of a cell.")

    def terrain(self, height: np.ndarray) -> Terrain:
        """A terrain with these heights ``[dim_x, dim_y]`` m, the center of cell (0, 0) in the origin."""
        return Terrain(height=height, cell=self.cell)


def check_order(provider: str, config: Any, *pairs: tuple[str, str]) -> None:
    """Nothing, if the first setting of every pair is at most the second.

    Raises:
        ConfigError: one is not; the text names both.
    """
    for low, high in pairs:
        if getattr(config, low) > getattr(config, high):
            values = f"{low} is {getattr(config, low)}, more than {high} {getattr(config, high)}"
            raise ConfigError(f"{provider}: {values}. Exchange the two.")
