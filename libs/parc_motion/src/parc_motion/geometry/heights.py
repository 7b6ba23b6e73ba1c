"""Ground heights under points, and the patch of ground around a character in its heading frame."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_motion.errors import ShapeError
from parc_motion.geometry.packed import PackedTerrains

__all__ = ["grid_offsets", "height_at", "height_patch"]


def height_at(height: Tensor, origin_xy: Tensor, cell: float | Tensor, xy: Tensor) -> Tensor:
    """Height of the cell under each point; nothing is interpolated, and outside the grid the nearest cell answers.

    Args:
        height: one terrain ``[nx, ny]`` or one per batch entry ``[B, nx, ny]``, m.
        origin_xy: center of cell (0, 0), ``[2]`` or ``[B, 2]`` m.
        cell: side of a cell, m.
        xy: ``[..., 2]``, or ``[B, ..., 2]`` where the height has a batch axis, m.

    Returns:
        ``[...]`` or ``[B, ...]`` m.

    Raises:
        ShapeError: the batch axes differ, or the last axis of `xy` is not 2.
    """
    batched = height.ndim == 3
    if xy.shape[-1] != 2 or height.ndim not in (2, 3) or (batched and xy.shape[0] != height.shape[0]):
        raise ShapeError(
            f"height_at got height {list(height.shape)} and xy {list(xy.shape)}, "
            f"expected [nx, ny] with [..., 2] or [B, nx, ny] with [B, ..., 2]."
        )
    lead = [1] * (xy.ndim - 2)
    origin = origin_xy.reshape(-1, *lead, 2) if batched else origin_xy
    index = ((xy - origin) / cell + 0.5).floor().long()
    i = index[..., 0].clamp(0, height.shape[-2] - 1)
    j = index[..., 1].clamp(0, height.shape[-1] - 1)
    if not batched:
        return height[i, j]
    return height[torch.arange(len(height), device=height.device).reshape(-1, *lead), i, j]


def grid_offsets(
    behind: int,
    ahead: int,
    right: int,
    left: int,
    spacing: float,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Points of a regular grid around a character in its heading frame (x ahead, y left).

    Returns:
        ``[behind + 1 + ahead, right + 1 + left, 2]`` m; point ``[behind, right]`` is the character itself.
    """
    x = torch.arange(-behind, ahead + 1, device=device, dtype=dtype) * spacing
    y = torch.arange(-right, left + 1, device=device, dtype=dtype) * spacing
    return torch.stack(torch.meshgrid(x, y, indexing="ij"), dim=-1)


def height_patch(
    packed: PackedTerrains, terrain_ids: Tensor, center_xy: Tensor, heading: Tensor, offsets: Tensor
) -> Tensor:
    """World heights at points given in the heading frame of each character.

    Args:
        terrain_ids: ``[N]`` int64.
        center_xy: where each character is, ``[N, 2]`` m.
        heading: its heading about z, ``[N]`` rad.
        offsets: points in the heading frame, ``[P, 2]`` or ``[px, py, 2]`` m; see `grid_offsets`.

    Returns:
        ``[N, P]`` or ``[N, px, py]`` m.

    Raises:
        ShapeError: the shapes do not fit together.
    """
    count = len(terrain_ids)
    if center_xy.shape != (count, 2) or heading.shape != (count,) or offsets.shape[-1:] != (2,):
        raise ShapeError(
            f"height_patch got terrain_ids {list(terrain_ids.shape)}, center_xy {list(center_xy.shape)}, "
            f"heading {list(heading.shape)}, offsets {list(offsets.shape)}; expected [N], [N, 2], [N], [..., 2]."
        )
    # one matrix product puts every point into units of cells, half a cell on: the whole part is the cell
    cell = packed.cell[terrain_ids][:, None]
    cos, sin = torch.cos(heading), torch.sin(heading)
    turn = torch.stack([cos, -sin, sin, cos], dim=-1) / cell
    start = (center_xy - packed.origin_xy[terrain_ids]) / cell + 0.5
    last = (packed.shape[terrain_ids] - 1).to(start.dtype)
    points = offsets.reshape(-1, 2).T.to(start)
    index = torch.addmm(start.reshape(-1, 1), turn.reshape(-1, 2), points).clamp_min_(0)
    index = torch.minimum(index, last.reshape(-1, 1), out=index).floor_()
    i, j = index.unflatten(0, (count, 2)).unbind(1)
    return packed.heights_of(terrain_ids, i, j).reshape(count, *offsets.shape[:-1])
