"""The ground: a blocky grid of square cells."""

from __future__ import annotations

import attrs
import numpy as np

from parc_motion.checks import as_float32, as_float32_or_none, check_near, check_range, check_shape
from parc_motion.errors import DataError

__all__ = ["Terrain"]

_CELL_M = (1e-3, 1e3)


@attrs.frozen(kw_only=True, eq=False)
class Terrain:
    """A grid of square cells, each a flat-topped column; cell (i, j) is centered on origin_xy + (i, j) * cell.

    A cell reaches half a cell to each side of its center. Outside the grid the nearest border cell answers, so the
    ground continues with its border heights. Axis 0 of `height` is world x, axis 1 world y.
    """

    height: np.ndarray = attrs.field(converter=as_float32)  # [nx, ny] m
    origin_xy: np.ndarray = attrs.field(
        converter=as_float32, default=(0.0, 0.0)
    )  # [2] m, center of cell (0, 0)
    cell: float = attrs.field(converter=float, default=0.4)  # m
    # lowest and highest height of each cell that keep the clip valid; None if they were not computed
    bounds: np.ndarray | None = attrs.field(converter=as_float32_or_none, default=None)  # [nx, ny, 2] m

    def __attrs_post_init__(self) -> None:
        check_shape(self.height, (None, None), "Terrain.height")
        check_near(self.height, "Terrain.height")
        check_shape(self.origin_xy, (2,), "Terrain.origin_xy")
        check_near(self.origin_xy, "Terrain.origin_xy")
        if self.height.size == 0:
            raise DataError(f"Terrain.height has shape {list(self.height.shape)}: a terrain needs a cell.")
        check_range(self.cell, *_CELL_M, "Terrain.cell", "m")
        if self.bounds is not None:
            check_shape(self.bounds, (*self.height.shape, 2), "Terrain.bounds")
            if np.isnan(self.bounds).any():
                raise DataError("Terrain.bounds holds nan.")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells along x and y."""
        return self.height.shape[0], self.height.shape[1]

    @property
    def max_xy(self) -> np.ndarray:
        """Center of the last cell, ``[2]`` m."""
        return self.origin_xy + (np.array(self.shape, dtype=np.float32) - 1) * np.float32(self.cell)

    def cell_of(self, xy: np.ndarray) -> np.ndarray:
        """Cell that each point falls in, clamped into the grid: ``[..., 2]`` int64 for ``xy`` ``[..., 2]`` m."""
        index = np.floor((np.asarray(xy, dtype=np.float64) - self.origin_xy) / self.cell + 0.5).astype(
            np.int64
        )
        return np.clip(index, 0, np.array(self.shape) - 1)

    def center_of(self, index: np.ndarray) -> np.ndarray:
        """Center of the top of each cell: ``[..., 3]`` m for ``index`` ``[..., 2]``."""
        index = np.asarray(index)
        xy = self.origin_xy + index * np.float32(self.cell)
        z = self.height[index[..., 0], index[..., 1]]
        return np.concatenate([xy, z[..., None]], axis=-1).astype(np.float32)

    def height_at(self, xy: np.ndarray) -> np.ndarray:
        """Height of the cell under each point: ``[...]`` m for ``xy`` ``[..., 2]`` m."""
        index = self.cell_of(xy)
        return self.height[index[..., 0], index[..., 1]]
