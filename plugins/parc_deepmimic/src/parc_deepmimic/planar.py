"""Interpolation and forward kinematics of many poses at once, component by component.

Numbers are those of `parc_motion.kinematics`, to the last bit on the CPUs tried. There the components of a
pose are contiguous, for any leading axes; here every component is a row over all poses, which takes less time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton

__all__ = ["PlanarKinematics", "levels", "slerp"]


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Rotations at fraction t ``[N]`` of the shorter way from a to b: ``[N, K, 4]`` for ``[N, K, 4]``."""
    from_rows, to_rows = _rows(a), _rows(b)
    products = from_rows * to_rows
    dot = products[:, 0] + products[:, 1] + products[:, 2] + products[:, 3]
    flip = torch.where(dot < 0.0, -1.0, 1.0)
    dot = dot.abs_().clamp_(max=1.0)
    near = dot > 0.9995
    angle = dot.clamp_(max=1.0 - 1e-7).acos_()
    sine, rest = torch.sin(angle), 1.0 - t
    wa = torch.where(near, rest, (rest * angle).sin_().div_(sine))
    wb = torch.where(near, t, (t * angle).sin_().div_(sine)).mul_(flip)
    blend = wa[:, None] * from_rows
    blend += wb[:, None] * to_rows
    return rot.normalize(_poses(blend))


def levels(skeleton: Skeleton) -> list[list[int]]:
    """Bodies by their depth below the root, which is left out."""
    depth = [0] * skeleton.num_bodies
    for body, parent in enumerate(skeleton.parents):
        depth[body] = 0 if parent < 0 else depth[parent] + 1
    return [[b for b, d in enumerate(depth) if d == level] for level in range(1, max(depth) + 1)]


class PlanarKinematics:
    """Forward kinematics of a skeleton for large batches."""

    def __init__(self, skeleton: Skeleton, device: str | torch.device = "cpu") -> None:
        self._num_bodies = skeleton.num_bodies
        self._levels = []
        for bodies in levels(skeleton):
            parents = torch.tensor([skeleton.parents[b] for b in bodies], device=device)
            offset = torch.tensor(skeleton.offsets[bodies], device=device, dtype=torch.float32)[..., None]
            self._levels.append((torch.tensor(bodies, device=device), parents, offset))

    def forward(self, root_pos: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        """Position ``[N, B, 3]`` m and rotation ``[N, B, 4]`` of every body.

        Args:
            root_pos: ``[N, 3]`` m.
            rotation: of the root, then of the joints, ``[N, 1 + J, 4]``.
        """
        joint = _rows(rotation)
        turn, place = joint.clone(), joint.new_empty(len(joint), 3, joint.shape[2])
        place[0] = root_pos.T
        for bodies, parents, offset in self._levels:
            above = turn.index_select(0, parents)
            place[bodies] = place.index_select(0, parents) + _rotate(above, offset)
            turn[bodies] = _multiply(above, joint.index_select(0, bodies))
        return _poses(place), _poses(turn)


def _rows(poses: Tensor) -> Tensor:
    """``[K, C, N]`` for ``[N, K, C]``."""
    return poses.flatten(1).T.contiguous().unflatten(0, poses.shape[1:])


def _poses(rows: Tensor) -> Tensor:
    """``[N, K, C]`` for ``[K, C, N]``."""
    return rows.flatten(0, 1).T.contiguous().unflatten(1, rows.shape[:2])


def _multiply(a: Tensor, b: Tensor) -> Tensor:
    ax, ay, az, aw = a.unbind(1)
    bx, by, bz, bw = b.unbind(1)
    return torch.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        dim=1,
    )


def _rotate(q: Tensor, v: Tensor) -> Tensor:
    xyz, w = q[:, :3], q[:, 3:]
    t = 2.0 * _cross(xyz, v)
    return v + w * t + _cross(xyz, t)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    # `torch.linalg.cross` takes five times as long on rows; like it, this rounds one of the two products only
    ax, ay, az = a.unbind(1)
    bx, by, bz = b.unbind(1)
    return torch.stack(
        [
            torch.addcmul(-(az * by), ay, bz),
            torch.addcmul(-(ax * bz), az, bx),
            torch.addcmul(-(ay * bx), ax, by),
        ],
        dim=1,
    )
