"""Forward kinematics of a character in scalar coordinates, with the derivative of points and body rotations.

A pose is one vector: root displacement (3), root rotation on top of a given one (exponential map, 3), then the joints'
scalar coordinates as `Skeleton` orders them. A joint that turns about world axis a through o moves a point p by
a x (p - o); the axes of an exponential map are the columns of the left Jacobian of SO(3).
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["BodyTree", "Posed"]


@attrs.frozen(kw_only=True, eq=False)
class Posed:
    """Bodies of posed frames, and what turns them."""

    pos: Tensor  # [T, B, 3] m
    rot: Tensor  # [T, B, 3, 3]
    axes: Tensor  # [T, C, 3] world axis of each rotational coordinate


class BodyTree:
    """A skeleton as tensors; C = N - 3 rotational coordinates of N = 6 + D."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.offsets = torch.tensor(skeleton.offsets, dtype=torch.float64)
        self.num_coordinates = 6 + skeleton.num_dofs
        turned = [0, 0, 0]
        for joint, place in zip(range(skeleton.num_joints), skeleton.dof_slices):
            turned += [joint + 1] * (place.stop - place.start)
        self.turned = torch.tensor(turned)  # [C] body that each rotational coordinate turns
        above = torch.zeros(skeleton.num_bodies, skeleton.num_bodies, dtype=torch.bool)
        for body, parent in enumerate(skeleton.parents):
            above[body] = above[parent] if parent >= 0 else above[body]
            above[body, body] = True
        self._moves = above[:, self.turned].to(torch.float64)  # [B, C] whether a coordinate moves a body
        # [J, 3, D] that makes each joint's exponential map of the scalar coordinates
        spread = torch.zeros(skeleton.num_joints, 3, skeleton.num_dofs, dtype=torch.float64)
        for joint, (spec, place) in enumerate(zip(skeleton.joints, skeleton.dof_slices)):
            if spec.kind is JointKind.HINGE:
                spread[joint, :, place.start] = torch.tensor(spec.axis, dtype=torch.float64)
            elif spec.kind is JointKind.BALL:
                spread[joint, :, place] = torch.eye(3, dtype=torch.float64)
        self._spread = spread.flatten(0, 1)

    def forward(self, x: Tensor, root_pos: Tensor, root_rot: Tensor) -> Posed:
        """Bodies for coordinates ``[T, N]`` on top of root positions ``[T, 3]`` and rotations ``[T, 3, 3]``."""
        skeleton = self.skeleton
        maps = torch.cat([x[:, 3:6], x[:, 6:] @ self._spread.T], dim=1).unflatten(1, (-1, 3))
        turns, columns = exponential(maps)  # [T, 1 + J, 3, 3] each, the root first
        pos, rot = [root_pos + x[:, :3]], [turns[:, 0] @ root_rot]
        axes = [columns[:, 0].transpose(-1, -2)]
        for body, spec in enumerate(skeleton.joints, start=1):
            parent = skeleton.parents[body]
            pos.append(pos[parent] + rot[parent] @ self.offsets[body])
            rot.append(rot[parent] if spec.kind is JointKind.FIXED else rot[parent] @ turns[:, body])
            if spec.kind is JointKind.HINGE:
                axis = torch.tensor(spec.axis, dtype=torch.float64)
                axes.append((rot[parent] @ axis)[:, None])
            elif spec.kind is JointKind.BALL:
                axes.append((rot[parent] @ columns[:, body]).transpose(-1, -2))
        return Posed(pos=torch.stack(pos, dim=1), rot=torch.stack(rot, dim=1), axes=torch.cat(axes, dim=1))

    def points(self, posed: Posed, body: Tensor, local: Tensor) -> Tensor:
        """Points of bodies in the world, ``[T, P, 3]`` m, for bodies ``[P]`` and places ``[P, 3]`` in their frames."""
        return posed.pos[:, body] + (posed.rot[:, body] @ local[..., None]).squeeze(-1)

    def point_jacobian(self, posed: Posed, body: Tensor, points: Tensor) -> Tensor:
        """Derivative of points ``[T, P, 3]``: ``[T, P, 3, N]``."""
        arm = points[:, :, None, :] - posed.pos[:, None, self.turned, :]
        a, moves = posed.axes[:, None], self._moves[body]  # [T, 1, C, 3], [P, C]
        columns = points.new_zeros((*points.shape, self.num_coordinates))
        for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
            columns[:, :, i, 3:] = (a[..., j] * arm[..., k] - a[..., k] * arm[..., j]) * moves
            columns[:, :, i, i] = 1.0
        return columns

    def push_jacobian(
        self, posed: Posed, frame: Tensor, body: Tensor, point: Tensor, along: Tensor
    ) -> Tensor:
        """Derivative of single points ``[K, 3]`` of given frames and bodies along directions ``[K, 3]``: ``[K, N]``."""
        arm = point[:, None] - posed.pos[frame][:, self.turned]
        moment = torch.linalg.cross(arm, along[:, None].expand_as(arm), dim=-1)
        turning = (posed.axes[frame] * moment).sum(dim=-1) * self._moves[body]
        return torch.cat([along, turning], dim=-1)

    def turn_jacobian(self, posed: Posed, body: Tensor) -> Tensor:
        """Derivative of the bodies' rotations as world rotation vectors: ``[T, P, 3, N]`` for bodies ``[P]``."""
        turns = posed.axes.new_zeros((len(posed.axes), len(body), 3, self.num_coordinates))
        turns[..., 3:] = posed.axes.transpose(-1, -2)[:, None] * self._moves[body][:, None, :]
        return turns


def exponential(e: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation matrix of exponential maps and their left Jacobian, ``[..., 3, 3]`` each, for ``[..., 3]`` rad."""
    square = (e * e).sum(dim=-1)[..., None, None]
    small = square < 1e-10
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    s = torch.where(small, 1.0 - square / 6.0, torch.sin(angle) / angle)
    c = torch.where(small, 0.5 - square / 24.0, (1.0 - torch.cos(angle)) / safe)
    d = torch.where(small, 1.0 / 6.0 - square / 120.0, (angle - torch.sin(angle)) / (safe * angle))
    x, y, z = e.unbind(-1)
    o = torch.zeros_like(x)
    k = torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=-1).unflatten(-1, (3, 3))
    kk = k @ k
    eye = torch.eye(3, dtype=e.dtype)
    return eye + s * k + c * kk, eye + c * k + d * kk


def rotation_vector(m: Tensor) -> Tensor:
    """Exponential map of rotation matrices, angle below pi: ``[..., 3]`` rad for ``[..., 3, 3]``."""
    v = torch.stack(
        [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], dim=-1
    )
    sine = 0.5 * v.norm(dim=-1)
    cosine = 0.5 * (m.diagonal(dim1=-2, dim2=-1).sum(dim=-1) - 1.0)
    angle = torch.atan2(sine, cosine)
    return (
        v
        * torch.where(sine < 1e-7, torch.full_like(sine, 0.5), 0.5 * angle / sine.clamp_min(1e-12))[..., None]
    )
