"""The character's surface points against the ground, computed only where it matters."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_motion.geometry import PackedTerrains, signed_distance
from parc_motion.kinematics import SurfacePoints, surface_points
from parc_motion.skeletons import Skeleton

__all__ = ["ColumnGap", "PointCloud"]


@attrs.frozen(kw_only=True, eq=False)
class ColumnGap:
    """Points against the column that they are in."""

    gap: Tensor  # [F, P] m above its top, negative inside
    border: Tensor  # [F, P] m to the nearest of its sides, sideways
    cell: Tensor  # [F, P] int32, its place among all cells of all terrains


class PointCloud:
    """Surface points by body, and the queries that scores and loss terms need.

    Frames are flat here: F frames, each with the terrain that it stands on.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        surface: SurfacePoints | None = None,
    ) -> None:
        surface = surface or surface_points(skeleton, device, dtype)
        self.points = surface.points.to(device=device, dtype=dtype)  # [P, 3] m, in the body's frame
        self.body, self.counts = surface.body.to(device), surface.counts
        starts = [sum(self.counts[:b]) for b in range(len(self.counts))]
        widest = max(self.counts)
        # the points of each body as a table; a short row repeats its first point, which changes no minimum
        rows = [[s + (k if k < n else 0) for k in range(widest)] for s, n in zip(starts, self.counts)]
        self.table = torch.tensor(rows, device=device)  # [B, K]
        self.has_points = torch.tensor([n > 0 for n in self.counts], device=device)
        # rotation matrix (9, row-major) -> x, y, z of every point of a body, as one matrix product each
        self._maps = [
            torch.kron(torch.eye(3, device=device, dtype=dtype), self.points[s : s + n].T.contiguous())
            for s, n in zip(starts, self.counts)
        ]

    def world(self, body_pos: Tensor, matrix: Tensor) -> Tensor:
        """All points as coordinate planes ``[F, 3, P]`` m, for ``[F, B, 3]`` and matrices ``[F, B, 3, 3]``."""
        flat = matrix.flatten(-2)
        parts = [
            (flat[:, b] @ m).unflatten(-1, (3, -1)) + body_pos[:, b, :, None]
            for b, m in enumerate(self._maps)
        ]
        return torch.cat(parts, dim=-1)

    def gap(self, world: Tensor, terrains: PackedTerrains, terrain_ids: Tensor) -> ColumnGap:
        """Height of every point above its own column; `world` ``[F, 3, P]`` m, `terrain_ids` ``[F]``."""
        scale = 1.0 / terrains.cell[terrain_ids][:, None]
        last = terrains.shape[terrain_ids].to(world.dtype) - 1
        index: list[Tensor] = []
        border: Tensor | None = None
        for axis in (0, 1):
            start = 0.5 - terrains.origin_xy[terrain_ids, axis][:, None] * scale
            place = torch.addcmul(start, world[:, axis], scale)
            # truncation of a clamped, positive number is floor
            cell = torch.minimum(place.clamp_min(0.0), last[:, axis : axis + 1]).to(torch.int32)
            index.append(cell)
            away = 0.5 - (place - cell - 0.5).abs()  # cells to the nearer border along this axis
            border = away if border is None else torch.minimum(border, away)
        rows, columns = terrains.height.shape[1:]
        flat = (terrain_ids[:, None].to(torch.int32) * rows + index[0]) * columns + index[1]
        gap = world[:, 2] - terrains.height.flatten()[flat]
        assert border is not None  # there are two axes
        return ColumnGap(gap=gap, border=border / scale, cell=flat)

    def closest(
        self,
        world: Tensor,
        terrains: PackedTerrains,
        terrain_ids: Tensor,
        frame: Tensor,
        body: Tensor,
        column: ColumnGap | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The point of each body that lies nearest to (or deepest in) the ground, and its signed distance.

        Args:
            world: ``[F, 3, P]`` m.
            terrain_ids: ``[F]``.
            frame: ``[R]``.
            body: ``[R]``, bodies with points.
            column: `gap` of the same points, if known.

        Returns:
            Point ``[R]`` int64 and distance ``[R]`` m.
        """
        column = column or self.gap(world, terrains, terrain_ids)
        table = self.table[body]  # [R, K]
        value, best = column.gap[frame[:, None], table].min(dim=-1)
        # The gap is the distance unless another column is nearer: then one border lies within the smallest gap, and
        # some column around is higher. Bodies with a point inside the ground, or far above it, are searched too.
        near = column.border[frame[:, None], table] < value[:, None]
        wall = _has_higher_neighbor(terrains)[column.cell[frame[:, None], table]]
        cell = terrains.cell[terrain_ids[frame]]
        search = ((near & wall).any(dim=-1) | (value < 0) | (value > cell)).nonzero()[:, 0]
        if len(search):
            frame, some = frame[search], table[search]
            distance = signed_distance(terrains, terrain_ids[frame], world[frame[:, None], :, some])
            exact, chosen = distance.min(dim=-1)
            value, best = value.index_copy(0, search, exact), best.index_copy(0, search, chosen)
        return table.gather(1, best[:, None])[:, 0], value


def _has_higher_neighbor(terrains: PackedTerrains) -> Tensor:
    """Whether any of the 8 cells around is higher, for all cells of all terrains flattened."""
    return (terrains.pooled(1, highest=True) > terrains.height).flatten()
