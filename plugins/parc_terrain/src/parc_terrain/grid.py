"""Size of the terrains that the sources make."""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.config.fields import setting
from parc_core.data.terrain import Terrain

__all__ = ["GridConfig"]


@attrs.frozen(kw_only=True)
class GridConfig:
    """Number and size of the cells; every terrain source has these settings."""

    dim_x: int = setting(16, ge=1, help="cells along x")
    dim_y: int = setting(16, ge=1, help="cells along y")
    cell: float = setting(0.4, gt=0, unit="m", help="side of a cell")

    def terrain(self, height: np.ndarray) -> Terrain:
        """A terrain with these heights ``[dim_x, dim_y]`` m, the centre of cell (0, 0) in the origin."""
        return Terrain(height=height, cell=self.cell)
