"""What keeps a body out of the ground: balls and corners of its shapes, pushed out where they lie inside."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from scipy.ndimage import maximum_filter
from scipy.spatial.transform import Rotation
from torch import Tensor

from parc_data.retarget.body_tree import BodyTree, Posed
from parc_motion.geometry import PackedTerrains, signed_distance
from parc_motion.skeletons import Geom, Skeleton
from parc_motion.terrains import Terrain

__all__ = ["Barrier", "Sunk"]

_WALL_SHARE = 0.1  # what a wall counts against level ground
_DEEPEST = 0.15  # m of depth that is pushed out at a time


@attrs.frozen(kw_only=True, eq=False)
class Sunk:
    """Places inside the ground, K of them."""

    frame: Tensor  # [K]
    place: Tensor  # [K]
    point: Tensor  # [K, 3] m
    out: Tensor  # [K, 3] unit vector to the surface
    depth: Tensor  # [K] m


class Barrier:
    """Level ground or a terrain, as seen by the shapes of one character."""

    def __init__(self, skeleton: Skeleton, terrain: Terrain | None, level: float, weight: float) -> None:
        places = [(geom.body, local, radius) for geom in skeleton.geoms for local, radius in _places(geom)]
        self.body = torch.tensor([body for body, _, _ in places], dtype=torch.long)
        self.local = torch.tensor(np.array([local for _, local, _ in places]).reshape(-1, 3))
        self.radius = torch.tensor([float(radius) for _, _, radius in places], dtype=torch.float64)
        self.terrain, self.level, self.weight = terrain, level, weight
        if terrain is not None:
            self._packed = PackedTerrains.of([terrain], dtype=torch.float64)
            around = 2 * int(np.ceil((_DEEPEST + 1e-6) / terrain.cell)) + 1
            self._high = attrs.evolve(terrain, height=maximum_filter(terrain.height, around), bounds=None)

    def sunk(self, tree: BodyTree, posed: Posed) -> Sunk:
        """The places that are inside the ground now."""
        points = tree.points(posed, self.body, self.local)
        if self.terrain is None:
            depth = self.level + self.radius - points[..., 2]
            frame, place = (depth > 0).nonzero(as_tuple=True)
            point, depth = points[frame, place], depth[frame, place]
            out = torch.zeros_like(point)
            out[:, 2] = 1.0
        else:
            top = torch.from_numpy(self._high.height_at(points[..., :2].numpy()).astype(float))
            frame, place = (points[..., 2] < top + self.radius).nonzero(as_tuple=True)
            point = points[frame, place].clone().requires_grad_()
            ids = torch.zeros(1, dtype=torch.long)
            distance = signed_distance(self._packed, ids, point[None], _DEEPEST)[0]
            (out,) = torch.autograd.grad(distance.sum(), point) if len(point) else (point,)
            depth = (self.radius[place] - distance).detach()
            inside = (depth > 0) & (out.square().sum(dim=-1) > 0.5)
            frame, place, point, depth = frame[inside], place[inside], point.detach()[inside], depth[inside]
            out = out.detach()[inside]
        return Sunk(frame=frame, place=place, point=point, out=out, depth=depth.clamp_max(_DEEPEST))

    def cost(self, sunk: Sunk) -> Tensor:
        """Weighted square of all depths."""
        return (self._weights(sunk) * sunk.depth.square()).sum()

    def add_to(self, gradient: Tensor, blocks: Tensor, sunk: Sunk, tree: BodyTree, posed: Posed) -> None:
        """Adds the depths to normal equations in place: gradient ``[T, N]``, blocks ``[T, N, N]``."""
        if not len(sunk.frame):
            return
        row = tree.push_jacobian(posed, sunk.frame, self.body[sunk.place], sunk.point, sunk.out)  # [K, N]
        weighted = self._weights(sunk)[:, None] * row
        gradient.index_add_(0, sunk.frame, -sunk.depth[:, None] * weighted)
        blocks.index_add_(0, sunk.frame, weighted[:, :, None] * row[:, None, :])

    def _weights(self, sunk: Sunk) -> Tensor:
        # cells show where a wall is to half their size only, but its top exactly
        return self.weight * (_WALL_SHARE + (1.0 - _WALL_SHARE) * sunk.out[:, 2].square())


def _places(geom: Geom) -> list[tuple[np.ndarray, float]]:
    """Balls that cover a shape: places in the body's frame and their radii."""
    size, turn = geom.size.astype(float), Rotation.from_quat(geom.rot.astype(float))
    if geom.kind == "box":
        corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * size
        return [(geom.pos + turn.apply(corner), 0.0) for corner in corners]
    if geom.kind == "sphere":
        return [(geom.pos.astype(float), size[0])]
    ends = [np.array([0.0, 0.0, share * size[1]]) for share in (-1.0, 0.0, 1.0)]
    return [(geom.pos + turn.apply(end), size[0]) for end in ends]
