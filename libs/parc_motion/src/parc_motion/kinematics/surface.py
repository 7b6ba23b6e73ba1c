"""Points on the surface of each body, for contact and penetration.

Source: counts and layout of `parc_motion.published` (304 points on the humanoid): sphere 12 icosahedron
vertices; box two z slices (the lower first) of 3 in x by 6 in y; capsule 4 rings of 4 points on its cylinder part.
Unlike there, the rings of slanted capsules lie on the capsule.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Geom, Skeleton

__all__ = ["SurfacePoints", "surface_points"]

_GOLDEN = (1.0 + 5.0**0.5) / 2.0


@attrs.frozen(kw_only=True, eq=False)
class SurfacePoints:
    """Surface points of all bodies, sorted by body."""

    points: Tensor  # [P, 3] m, in the frame of the body
    body: Tensor  # [P] int64, body of each point
    counts: tuple[int, ...]  # [B] points per body

    def world(self, body_pos: Tensor, body_rot: Tensor) -> Tensor:
        """The points of posed bodies: ``[..., P, 3]`` m for ``[..., B, 3]`` and ``[..., B, 4]``."""
        matrix = rot.quat_to_matrix(body_rot)[..., self.body, :, :]
        return body_pos[..., self.body, :] + (matrix @ self.points[..., None]).squeeze(-1)


def surface_points(
    skeleton: Skeleton, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> SurfacePoints:
    """The character's surface points; the first 18 of a foot's box are its sole."""
    by_body: list[list[np.ndarray]] = [[] for _ in range(skeleton.num_bodies)]
    for geom in skeleton.geoms:
        by_body[geom.body].append(_geom_points(geom))
    clouds = [np.concatenate(points) if points else np.zeros((0, 3)) for points in by_body]
    counts = tuple(len(cloud) for cloud in clouds)
    return SurfacePoints(
        points=torch.tensor(np.concatenate(clouds), device=device, dtype=dtype),
        body=torch.tensor(np.repeat(np.arange(len(counts)), counts), device=device),
        counts=counts,
    )


def _geom_points(geom: Geom) -> np.ndarray:
    local = {"sphere": _sphere, "box": _box, "capsule": _cylinder, "cylinder": _cylinder}[geom.kind](
        geom.size.astype(float)
    )
    q = torch.tensor(geom.rot, dtype=torch.float64).expand(len(local), 4)
    return geom.pos + rot.rotate(q, torch.tensor(local, dtype=torch.float64)).numpy()


def _sphere(size: np.ndarray) -> np.ndarray:
    a, b = 1.0, _GOLDEN
    vertices = [(0.0, s * a, t * b) for s in (-1, 1) for t in (-1, 1)]
    vertices += [(s * a, t * b, 0.0) for s in (-1, 1) for t in (-1, 1)]
    vertices += [(t * b, 0.0, s * a) for s in (-1, 1) for t in (-1, 1)]
    points = np.array(vertices, dtype=float)
    return size[0] * points / np.linalg.norm(points[0])


def _box(size: np.ndarray) -> np.ndarray:
    z, x, y = np.meshgrid([-1.0, 1.0], np.linspace(-1, 1, 3), np.linspace(-1, 1, 6), indexing="ij")
    return np.stack([x, y, z], axis=-1).reshape(-1, 3) * size


def _cylinder(size: np.ndarray) -> np.ndarray:
    radius, half = size[0], size[1]
    z, angle = np.meshgrid(np.linspace(-half, half, 4), np.arange(4) * np.pi / 2, indexing="ij")
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1).reshape(-1, 3)
