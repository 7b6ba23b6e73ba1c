"""All terrains side by side in one, for simulators that have a single world for every environment.

Source: `parc_motion.published`: slots of equal size in a square, the whole centered on the origin, which keeps
coordinates small. It pads every terrain with its lowest height and leaves slots of smaller terrains partly empty; here
border heights go on to the edge of the slot, as they do around a single terrain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from parc_motion.errors import DataError
from parc_motion.terrains.terrain import Terrain

__all__ = ["TerrainGrid", "lay_out"]


@attrs.frozen(kw_only=True, eq=False)
class TerrainGrid:
    """One terrain that holds others.

    A point of terrain m lies at ``point + offsets[m]``; there, and within the margin around it, the ground is as high
    as on terrain m itself.
    """

    terrain: Terrain
    offsets: np.ndarray  # [M, 2] m, float64
    corners: np.ndarray  # [M, 2] int64, cell of the grid that is cell (0, 0) of terrain m


def lay_out(terrains: Sequence[Terrain], margin: float = 2.0) -> TerrainGrid:
    """Terrains on a square of slots, in order, row by row along x; unused slots are level, as low as the lowest cell.

    Args:
        margin: m of ground around each terrain that is its own, at least.

    Raises:
        DataError: no terrain, or cells of different size.
    """
    _check(terrains)
    cell = terrains[0].cell
    pad = math.ceil(margin / cell - 1e-6)
    slot = np.max([terrain.shape for terrain in terrains], axis=0) + 2 * pad
    side = math.ceil(math.sqrt(len(terrains)))
    rows = math.ceil(len(terrains) / side)
    size = slot * (rows, side)
    height = np.full(size, min(float(terrain.height.min()) for terrain in terrains), dtype=np.float32)
    origin = -0.5 * (size - 1) * cell
    corners = np.empty((len(terrains), 2), dtype=np.int64)
    for m, terrain in enumerate(terrains):
        start = np.array(divmod(m, side)) * slot
        i, j = (slice(a, a + n) for a, n in zip(start, slot))
        ends = [(pad, int(n - pad - k)) for n, k in zip(slot, terrain.shape)]
        height[i, j] = np.pad(terrain.height, ends, mode="edge")
        corners[m] = start + pad
    firsts = np.array([terrain.origin_xy for terrain in terrains], dtype=np.float64)
    return TerrainGrid(
        terrain=Terrain(height=height, origin_xy=origin, cell=cell),
        offsets=origin + corners * cell - firsts,
        corners=corners,
    )


def _check(terrains: Sequence[Terrain]) -> None:
    if not terrains:
        raise DataError("lay_out got no terrain; give at least one.")
    cells = {round(terrain.cell, 6) for terrain in terrains}
    if len(cells) > 1:
        raise DataError(
            f"terrains with cells of {', '.join(f'{c:g} m' for c in sorted(cells))} do not fit into one grid; resample "
            "them to one size, or use a simulator with one terrain per environment."
        )
