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

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from parc_motion.errors import ShapeError
from parc_motion.geometry.packed import PackedTerrains

__all__ = ["clearance", "penetration_depth", "project_to_surface", "signed_distance"]


def signed_distance(
    packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, max_distance: float | Tensor | None = 1.0
) -> Tensor:
    """Distance to the surface of the ground: positive outside, negative inside.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m; gradients flow to them.
        max_distance: distances beyond are cut to it, one value or ``[N, ...]`` m; None for no limit.

    Returns:
        ``[N, ...]`` m.

    Raises:
        ShapeError: the shapes do not fit together.
    """
    return _distance(packed, terrain_ids, points, max_distance, inside=True, outside=True)


def penetration_depth(
    packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, max_distance: float | Tensor | None = None
) -> Tensor:
    """Depth of points inside the ground, 0 outside: ``[N, ...]`` m; only points below their own column are searched.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m; gradients flow to them.
        max_distance: depths beyond are cut to it, one value or ``[N, ...]`` m; None for no limit.
    """
    depth = _distance(packed, terrain_ids, points, max_distance, inside=True, outside=False)
    return 0.0 - depth  # not -depth: that would be -0.0 outside


def clearance(
    packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, max_distance: float | Tensor | None = None
) -> Tensor:
    """Distance of points outside the ground to it, 0 inside: ``[N, ...]`` m.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m; gradients flow to them.
        max_distance: distances beyond are cut to it, one value or ``[N, ...]`` m; None for no limit.
    """
    return _distance(packed, terrain_ids, points, max_distance, inside=False, outside=True)


@torch.no_grad()
def project_to_surface(packed: PackedTerrains, terrain_ids: Tensor, points: Tensor) -> Tensor:
    """Nearest point on the true surface of the ground, from either side: ``[N, ..., 3]`` m, without gradient.

    Args:
        terrain_ids: ``[N]`` int64.
        points: ``[N, ..., 3]`` m.
    """
    _check(terrain_ids, points)
    index, place, gap = _own_column(packed, terrain_ids, points)
    flat, ids = points.reshape(-1, 3), _flat_ids(terrain_ids, gap, None)
    state = _Points.start(packed, ids, flat, index.reshape(-1, 2), place.reshape(-1, 2), gap.flatten(), None)
    _search(state)
    return (flat + state.step).reshape(points.shape)


def _distance(
    packed: PackedTerrains,
    terrain_ids: Tensor,
    points: Tensor,
    limit: float | Tensor | None,
    inside: bool,
    outside: bool,
) -> Tensor:
    _check(terrain_ids, points)
    return _Distance.apply(points, terrain_ids, packed, limit, inside, outside)


def _check(terrain_ids: Tensor, points: Tensor) -> None:
    if points.ndim < 2 or points.shape[-1] != 3 or terrain_ids.shape != points.shape[:1]:
        raise ShapeError(
            f"points have shape {list(points.shape)} for terrain_ids {list(terrain_ids.shape)}, "
            f"expected [N, ..., 3] for [N]."
        )


class _Distance(torch.autograd.Function):
    """Signed distance; points on a side that is not asked for get 0 and no gradient."""

    @staticmethod
    def forward(ctx, points, terrain_ids, packed, limit, inside, outside):
        points = points.detach()
        index, place, gap = _own_column(packed, terrain_ids, points)
        chosen = None
        if not (inside and outside):
            chosen = (gap < 0 if inside else gap >= 0).flatten().nonzero().squeeze(-1)
        ids = _flat_ids(terrain_ids, gap, chosen)
        if isinstance(limit, Tensor):
            limit = _pick(limit.detach().expand(gap.shape).reshape(-1, 1), chosen)[:, 0]
        state = _Points.start(
            packed,
            ids,
            _pick(points.reshape(-1, 3), chosen),
            _pick(index.reshape(-1, 2), chosen),
            _pick(place.reshape(-1, 2), chosen),
            _pick(gap.reshape(-1, 1), chosen)[:, 0],
            limit,
        )
        _search(state)
        distance = state.side * state.best
        ctx.save_for_backward(state.normal, chosen)
        ctx.points_shape = points.shape
        if chosen is not None:
            distance = distance.new_zeros(gap.numel()).index_copy_(0, chosen, distance)
        return distance.reshape(gap.shape)

    @staticmethod
    def backward(ctx, grad):
        normal, chosen = ctx.saved_tensors
        grad = grad.reshape(-1, 1)
        if chosen is None:
            result = grad * normal
        else:
            result = grad.new_zeros((len(grad), 3)).index_copy_(0, chosen, grad[chosen] * normal)
        return result.reshape(ctx.points_shape), None, None, None, None, None


def _own_column(packed: PackedTerrains, terrain_ids: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cell and place as `PackedTerrains.locate` gives them, and the height above the own column ``[N, ...]`` m."""
    index, place = packed.locate(terrain_ids, points[..., :2])
    gap = points[..., 2] - packed.heights_of(terrain_ids, index[..., 0], index[..., 1])
    if torch.isnan(index.sum()):
        gap = gap + (index - index).sum(dim=-1)  # a place that is not a number has no distance
    return index, place, gap


def _pick(values: Tensor, rows: Tensor | None) -> Tensor:
    return values if rows is None else values.index_select(0, rows)


def _flat_ids(terrain_ids: Tensor, like: Tensor, rows: Tensor | None) -> Tensor:
    per_id = max(like[0].numel(), 1) if len(like) else 1
    if rows is None:
        return terrain_ids.repeat_interleave(per_id) if like.numel() else terrain_ids[:0]
    return terrain_ids[torch.div(rows, per_id, rounding_mode="floor")]


@attrs.define(kw_only=True, eq=False)
class _Points:
    """Points on the way to their nearest surface point; the last three fields improve ring by ring."""

    packed: PackedTerrains
    ids: Tensor  # [n]
    pos: Tensor  # [n, 3] m
    own: Tensor  # [n, 2] cell
    place: Tensor  # [n, 2] cells from its center
    cell: Tensor  # [n] m
    side: Tensor  # [n] 1 outside, -1 inside
    step: Tensor  # [n, 3] m, to the nearest surface point so far
    best: Tensor  # [n] m, its distance or the limit
    normal: Tensor  # [n, 3] gradient of the signed distance

    @classmethod
    def start(
        cls,
        packed: PackedTerrains,
        ids: Tensor,
        pos: Tensor,
        index: Tensor,
        place: Tensor,
        gap: Tensor,
        limit: float | Tensor | None,
    ) -> _Points:
        """Every point at the distance to its own column; `index`, `place` as `PackedTerrains.locate` gives them."""
        best = gap.abs() if limit is None else gap.abs().clamp_max(limit)
        zero = torch.zeros_like(place)
        return cls(
            packed=packed,
            ids=ids,
            pos=pos,
            own=index.long(),
            place=place - index,
            cell=packed.cell[ids],
            side=torch.where(gap < 0, -1.0, 1.0).to(gap.dtype),
            step=torch.cat([zero, -gap[:, None]], dim=-1),
            best=best,
            # cut distances are constant
            normal=torch.cat([zero, (gap.abs() <= best).to(gap.dtype)[:, None]], dim=-1),
        )


def _search(state: _Points) -> None:
    """Improve the points ring by ring until no cell further out can be nearer."""
    inset = (
        state.place.clamp(-0.5, 0.5).abs().amax(dim=-1) + 0.5
    ) * state.cell  # ring r is r cells minus this away
    rows = (state.cell - inset < state.best).nonzero().squeeze(-1)
    for ring in range(1, max(state.packed.height.shape[1:])):
        across = ring * state.cell[rows] - inset[rows]
        near = across < state.best[rows]
        rows, across = rows[near], across[near]
        if len(rows) == 0:
            break
        least = across.square() + _least_rise(state, rows, ring).square()
        _search_ring(state, rows[least < state.best[rows].square()], ring)


def _least_rise(state: _Points, rows: Tensor, ring: int) -> Tensor:
    """Vertical distance to the most promising column up to this ring: ``[k]`` m for ``rows`` ``[k]``."""
    packed, own, side = state.packed, state.own[rows], state.side[rows]
    cells = (state.ids[rows] * packed.height.shape[1] + own[:, 0]) * packed.height.shape[2] + own[:, 1]
    highest = packed.pooled(ring, highest=True).flatten()[cells]
    lowest = packed.pooled(ring, highest=False).flatten()[cells]
    return (side * (state.pos[rows, 2] - torch.where(side > 0, highest, lowest))).clamp_min(0)


def _search_ring(state: _Points, rows: Tensor, ring: int) -> None:
    """Improve `rows` of the state with the cells of one ring."""
    if len(rows) == 0:
        return
    pos, side = state.pos[rows], state.side[rows]
    cells = torch.tensor(_ring_cells(ring), device=rows.device)  # [K, 2]
    i, j = cells.T + ring  # of each cell, its place among the offsets along an axis
    across, flat = _along_axes(state, rows, ring)
    height = state.packed.height.flatten().take(
        flat[0].index_select(0, i) + flat[1].index_select(0, j)
    )  # [K, k]
    down = (side * (pos[:, 2] - height)).clamp_min_(0)  # above the column; inside: below its air
    squared = across.square()
    squared = squared[0].index_select(0, i).add_(squared[1].index_select(0, j)).addcmul_(down, down)
    squared, nearest = squared.min(dim=0)
    better = (squared < state.best[rows].square()).nonzero().squeeze(-1)
    rows, nearest, side = rows[better], nearest[better], side[better, None]
    sideways = [across[0, i[nearest], better], across[1, j[nearest], better]]
    move = torch.cat([torch.stack(sideways, dim=-1), -side * down[nearest, better][:, None]], dim=-1)
    length = squared[better].sqrt()[:, None]
    # a point that touches a wall has no direction to it: take the wall's own
    wall = functional.pad(functional.normalize(cells[nearest].to(move.dtype), dim=-1), (0, 1))
    toward = torch.where(length > 1e-7, move / length.clamp_min(1e-12), wall)
    state.step[rows], state.best[rows], state.normal[rows] = move, length[:, 0], -side * toward


def _along_axes(state: _Points, rows: Tensor, ring: int) -> tuple[Tensor, Tensor]:
    """For the cells `ring` before to `ring` after the own one, along x and along y (S = 2 ring + 1).

    Returns:
        How far sideways they are, with sign, ``[2, S, k]`` m, and their part of the place in the packed heights,
        ``[2, S, k]`` int64: the sum of both parts is the place of a cell.
    """
    packed, ids = state.packed, state.ids[rows]
    offset = torch.arange(-ring, ring + 1, device=rows.device)[:, None]
    place = state.place[rows].T[:, None]  # [2, 1, k]
    # one beyond the border is a border cell again, and not found nearer than it is
    across = torch.empty(2, 2 * ring + 1, len(rows), dtype=place.dtype, device=place.device)
    torch.sub(offset[:ring] + 0.5, place, out=across[:, :ring]).clamp_max_(0)
    across[:, ring] = 0
    torch.sub(offset[ring + 1 :] - 0.5, place, out=across[:, ring + 1 :]).clamp_min_(0)
    across *= state.cell[rows]
    index = (state.own[rows].T[:, None] + offset).clamp_min_(0)
    flat = torch.minimum(index, packed.shape[ids].T[:, None] - 1)
    columns = packed.height.shape[2]
    flat[0] = (flat[0] + ids * packed.height.shape[1]) * columns
    return across, flat


@cache
def _ring_cells(ring: int) -> tuple[tuple[int, int], ...]:
    span = range(-ring, ring + 1)
    return tuple((a, b) for a in span for b in span if max(abs(a), abs(b)) == ring)
