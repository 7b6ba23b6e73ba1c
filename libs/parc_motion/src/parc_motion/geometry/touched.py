"""Cells under a moving body, and how far the height of each cell may change without spoiling the motion.

Source: `parc_motion.published`: cells are those under the body's surface points; a cell under no point is free, one
under the body keeps its height, or may rise to 0.8 m below the body where that stays higher.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_motion.geometry.packed import PackedTerrains
from parc_motion.kinematics import SurfacePoints

__all__ = ["HEADROOM", "JUMPED_OVER", "height_bounds", "touched_cells", "touched_rows"]

HEADROOM = 3.0  # m, free ground may rise so far above the highest root and sink so far below the lowest cell
JUMPED_OVER = 0.8  # m, a cell that stays so far below the body may rise until it is this near
_CHUNK = 256  # frames whose points are computed at a time: keeps memory small and in the cache


def touched_cells(
    packed: PackedTerrains, terrain_ids: Tensor, body_pos: Tensor, body_rot: Tensor, surface: SurfacePoints
) -> tuple[Tensor, Tensor]:
    """Distinct cells under the surface points of each frame, and the lowest point above each cell.

    Cells are flat places ``i * Y + j`` in the padded grid ``[X, Y]`` of `packed`.

    Args:
        terrain_ids: terrain of each frame, ``[F]`` int64.
        body_pos: ``[F, B, 3]`` m.
        body_rot: ``[F, B, 4]``.

    Returns:
        Cells ``[F, K]`` int64, ascending, the last places of a row repeat its first cell; and heights
        ``[M, X * Y]`` m, infinite where no point is.
    """
    rows, columns = packed.height.shape[1:]
    lowest = torch.full((packed.num_terrains * rows * columns,), torch.inf).to(body_pos)
    found: list[Tensor] = []
    for ids, pos, turn in zip(*(part.split(_CHUNK) for part in (terrain_ids, body_pos, body_rot))):
        points = surface.world(pos, turn)
        index, _ = packed.locate(ids, points[..., :2])
        place = torch.add(index[..., 1], index[..., 0], alpha=columns).long()
        owner = (ids[:, None] * (rows * columns) + place).flatten()
        lowest.scatter_reduce_(0, owner, points[..., 2].flatten(), reduce="amin")
        found.append(_distinct(place))
    width = max(part.shape[1] for part in found)
    padded = [torch.cat([part, part[:, :1].expand(-1, width - part.shape[1])], dim=1) for part in found]
    return torch.cat(padded), lowest.reshape(packed.num_terrains, -1)


def touched_rows(cells: Tensor, columns: int) -> Tensor:
    """Rows (frame, i, j), sorted, of cells as `touched_cells` gives them: ``[n, 3]`` int64.

    Args:
        columns: Y, cells along y of the padded grid.
    """
    fresh = torch.ones_like(cells, dtype=torch.bool)
    fresh[:, 1:] = cells[:, 1:] > cells[:, :-1]  # a repeated first cell is no larger than the one before it
    frame, place = fresh.nonzero(as_tuple=True)
    flat = cells[frame, place]
    return torch.stack([frame, flat // columns, flat % columns], dim=-1)


def height_bounds(packed: PackedTerrains, lowest: Tensor, highest_root: Tensor) -> Tensor:
    """Lowest and highest height of each cell that keep the motion valid: ``[M, X * Y, 2]`` m.

    Args:
        lowest: lowest point above each cell, as `touched_cells` gives it, ``[M, X * Y]`` m.
        highest_root: highest place of the root over each terrain, ``[M]`` m.
    """
    height = packed.height.flatten(1)
    top = (highest_root[:, None] + HEADROOM).expand_as(height)
    bottom = (height.amin(dim=1, keepdim=True) - HEADROOM).expand_as(height)  # padding repeats border cells
    touched = torch.isfinite(lowest)
    jumped = touched & (lowest - height >= JUMPED_OVER)
    low = torch.where(touched & ~jumped, height, bottom)
    high = torch.where(touched, torch.where(jumped, lowest - JUMPED_OVER, height), top)
    return torch.stack([low, high], dim=-1)


def _distinct(values: Tensor) -> Tensor:
    """Distinct values of each row, moved to the front; the rest of a row repeats its first: ``[N, K]``."""
    ordered = values.sort(dim=1).values
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place = fresh.cumsum(1) - 1
    result = ordered[:, :1].repeat(1, int(place.max()) + 1)
    return result.scatter(1, place, ordered)
