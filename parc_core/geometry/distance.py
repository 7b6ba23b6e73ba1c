"""Exact signed distance of points to blocky ground, with its gradient.

The ground is solid: every cell is a column from its height down to minus infinity, and border cells reach outward
without end. A point above its own column is outside; its distance is that to the nearest column. A point below is
inside; its distance is that to the nearest free column of air, so a wall between two solid cells never counts.

Own column first: its gap bounds the distance, and only cells within that bound that are high (inside: low) enough
can be nearer. They are searched in square rings around the own cell until the next ring is farther than the best.
The distance is a distance function, so its gradient is the unit vector from the nearest surface point (away from
it outside, towards it inside); it is set so, and never the derivative of a square root at zero.

Where a `max_distance` is given, distances beyond it are cut to it (keeping their sign) and have no gradient: the
search stays near the point. With None the distance is exact however far the surface is.

Differs from the published implementation, which compares single boxes of limited depth: there internal walls pull
buried points, columns below z = -10 m are lost, and points outside the grid count as inside the ground.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from parc_core.errors import ShapeError
from parc_core.geometry.packed import PackedTerrains

__all__ = ["clearance", "penetration_depth", "project_to_surface", "signed_distance"]


def signed_distance(
    packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, max_distance: float | None = 1.0
) -> Tensor:
    """Distance to the surface of the ground: positive outside, negative inside.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m; gradients flow to them.
        max_distance: distances beyond are cut to it, m; None for no limit.

    Returns:
        ``[N, ...]`` m.

    Raises:
        ShapeError: the shapes do not fit together.
    """
    return _distance(packed, terrain_ids, points, max_distance, inside=True, outside=True)


def penetration_depth(
    packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, max_distance: float | None = None
) -> Tensor:
    """Depth of points inside the ground, 0 outside: ``[N, ...]`` m; only points below their own column are searched.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m; gradients flow to them.
        max_distance: depths beyond are cut to it, m; None for no limit.
    """
    depth = _distance(packed, terrain_ids, points, max_distance, inside=True, outside=False)
    return 0.0 - depth  # not -depth: that would be -0.0 outside


def clearance(packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, max_distance: float | None = None) -> Tensor:
    """Distance of points outside the ground to it, 0 inside: ``[N, ...]`` m.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m; gradients flow to them.
        max_distance: distances beyond are cut to it, m; None for no limit.
    """
    return _distance(packed, terrain_ids, points, max_distance, inside=False, outside=True)


@torch.no_grad()
def project_to_surface(packed: PackedTerrains, terrain_ids: Tensor, points: Tensor) -> Tensor:
    """Nearest point on the true surface of the ground, from either side: ``[N, ..., 3]`` m, without gradient.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m.
    """
    ids, flat = _flatten(terrain_ids, points)
    step, _, _ = _nearest(packed, ids, flat, None)
    return (flat + step).reshape(points.shape)


def _distance(
    packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, limit: float | None, inside: bool, outside: bool
) -> Tensor:
    ids, flat = _flatten(terrain_ids, points)
    distance = _Distance.apply(flat, ids, packed, limit, inside, outside)
    return distance.reshape(points.shape[:-1])


def _flatten(terrain_ids: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    if points.ndim < 2 or points.shape[-1] != 3 or terrain_ids.shape != points.shape[:1]:
        raise ShapeError(
            f"points have shape {list(points.shape)} for terrain_ids {list(terrain_ids.shape)}, "
            f"expected [N, ..., 3] for [N]."
        )
    per_id = points[0, ..., 0].numel() if len(points) else 1
    return terrain_ids.repeat_interleave(per_id), points.reshape(-1, 3)


class _Distance(torch.autograd.Function):
    """Signed distance of flat points; points on a side that is not asked for get 0 and no gradient."""

    @staticmethod
    def forward(ctx, points, ids, packed, limit, inside, outside):  # noqa: ANN001, ANN205, PLR0913
        points = points.detach()
        chosen = None
        if inside and outside:
            step, length, normal = _nearest(packed, ids, points, limit)
        else:
            _, height, _ = _own_column(packed, ids, points)
            chosen = ((points[:, 2] < height) == inside).nonzero().squeeze(-1)
            step, length, normal = _nearest(packed, ids[chosen], points[chosen], limit)
        distance = length
        if chosen is not None:
            distance = points.new_zeros(len(points)).index_copy_(0, chosen, length)
        ctx.save_for_backward(normal, chosen)
        ctx.num_points = len(points)
        return distance

    @staticmethod
    def backward(ctx, grad):  # noqa: ANN001, ANN205
        normal, chosen = ctx.saved_tensors
        if chosen is None:
            return grad[:, None] * normal, None, None, None, None, None
        full = grad.new_zeros((ctx.num_points, 3))
        full.index_copy_(0, chosen, grad[chosen, None] * normal)
        return full, None, None, None, None, None


def _own_column(packed: PackedTerrains, ids: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Own cell ``[n, 2]``, its height ``[n]`` m, and the place in it in cells from its centre ``[n, 2]``."""
    place = (points[:, :2] - packed.origin_xy[ids]) / packed.cell[ids][:, None]
    own = torch.minimum((place + 0.5).floor().long().clamp_min(0), packed.shape[ids] - 1)
    return own, packed.height[ids, own[:, 0], own[:, 1]], place - own


def _nearest(packed: PackedTerrains, ids: Tensor, points: Tensor, limit: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """Step to the nearest surface point ``[n, 3]`` m, signed distance ``[n]`` m and its gradient ``[n, 3]``."""
    own, height, place = _own_column(packed, ids, points)
    gap = points[:, 2] - height
    side = torch.where(gap < 0, -1.0, 1.0).to(points.dtype)  # -1 inside
    best = gap.abs() if limit is None else gap.abs().clamp_max(limit)
    step = torch.zeros_like(points)
    step[:, 2] = -gap
    normal = torch.zeros_like(points)
    # beyond the limit the distance is constant
    normal[:, 2] = (gap.abs() <= best).to(points.dtype)
    active = torch.arange(len(points), device=points.device)
    reach = (place.clamp(-0.5, 0.5).abs().amax(dim=-1) + 0.5) * packed.cell[ids]  # ring r is r cells minus this away
    for ring in range(1, max(packed.height.shape[1:])):
        floor = ring * packed.cell[ids[active]] - reach[active]
        keep = floor < best[active]
        active, floor = active[keep], floor[keep]
        if len(active) == 0:
            break
        found = _promising(packed, ids, own, points[:, 2], side, active, ring)
        found = active[found.square() + floor.square() < best[active].square()]
        if len(found):
            _search_ring(packed, ids[found], own[found], place[found], points[found], side[found], ring, found, step, best, normal)
    return step, side * best, normal


def _promising(
    packed: PackedTerrains, ids: Tensor, own: Tensor, z: Tensor, side: Tensor, active: Tensor, ring: int
) -> Tensor:
    """Least vertical distance to any column within the ring: ``[k]`` m for ``active`` ``[k]``."""
    cells = (ids[active] * packed.height.shape[1] + own[active, 0]) * packed.height.shape[2] + own[active, 1]
    highest = packed.pooled(ring, highest=True).flatten()[cells]
    lowest = packed.pooled(ring, highest=False).flatten()[cells]
    z, side = z[active], side[active]
    return (side * (z - torch.where(side > 0, highest, lowest))).clamp_min(0)


def _search_ring(  # noqa: PLR0913 - an inner loop; a record would only rename these
    packed: PackedTerrains,
    ids: Tensor,
    own: Tensor,
    place: Tensor,
    points: Tensor,
    side: Tensor,
    ring: int,
    rows: Tensor,
    step: Tensor,
    best: Tensor,
    normal: Tensor,
) -> None:
    """Write into `step`, `best` and `normal` at `rows` whatever the cells of one ring improve."""
    offsets = torch.tensor(_ring_offsets(ring), device=points.device, dtype=points.dtype)  # [K, 2] cells
    index = torch.minimum((own[:, None] + offsets.long()).clamp_min(0), packed.shape[ids][:, None] - 1)
    height = packed.height[ids[:, None], index[..., 0], index[..., 1]]  # [k, K] m
    # sideways step to the cell's rectangle; a cell beyond the border is the border cell again, never nearer than it is
    low, high = offsets - 0.5, offsets + 0.5
    across = torch.where(offsets > 0, (low - place[:, None]).clamp_min(0), (high - place[:, None]).clamp_max(0))
    across = torch.where(offsets == 0, torch.zeros_like(across), across) * packed.cell[ids][:, None, None]
    down = (side[:, None] * (points[:, 2:3] - height)).clamp_min(0)  # height above it (inside: depth below its air)
    squared = across.square().sum(dim=-1) + down.square()
    squared, nearest = squared.min(dim=-1)
    better = squared < best[rows].square()
    rows, nearest = rows[better], nearest[better]
    pick = better.nonzero().squeeze(-1)
    vertical = -side[pick] * down[pick, nearest]
    move = torch.cat([across[pick, nearest], vertical[:, None]], dim=-1)
    length = squared[better].sqrt()
    away = -side[pick, None] * move / length.clamp_min(1e-12)[:, None]
    # touching a wall: the gradient is the wall's normal
    wall = torch.nn.functional.normalize(offsets[nearest], dim=-1) * -side[pick, None]
    touching = torch.cat([wall, torch.zeros_like(vertical)[:, None]], dim=-1)
    step[rows], best[rows] = move, length
    normal[rows] = torch.where(length[:, None] > 1e-7, away, touching)


@cache
def _ring_offsets(ring: int) -> tuple[tuple[int, int], ...]:
    span = range(-ring, ring + 1)
    return tuple((a, b) for a in span for b in span if max(abs(a), abs(b)) == ring)
