"""Forward kinematics of a character in scalar coordinates, with the derivative of points and body rotations.

A pose is one vector: root displacement (3), root rotation on top of a given one (exponential map, 3), then the joints'
scalar coordinates as `Skeleton` orders them. A joint that turns about world axis a through o moves a point p by
a x (p - o); the axes of an exponential map are the columns of the left Jacobian of SO(3).
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
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
        self._kinematics = Kinematics(skeleton, dtype=torch.float64)
        self._parents = torch.tensor([skeleton.parents[body] for body in turned[3:]], dtype=torch.long)
        dofs = torch.cat([spread[body - 1, :, i, None] for i, body in enumerate(turned[3:])], dim=1)
        self._axes = torch.cat(
            [torch.eye(3, dtype=torch.float64), dofs], dim=1
        )  # [3, C], in the map of its joint

    def forward(self, x: Tensor, root_pos: Tensor, root_rot: Tensor) -> Posed:
        """Bodies for coordinates ``[T, N]`` on top of root positions ``[T, 3]`` and rotations ``[T, 4]``."""
        turn = rot.multiply(rot.expmap_to_quat(x[:, 3:6]), root_rot)
        joint_rot = self._kinematics.dof_to_joint_rot(x[:, 6:])
        pos, quat = self._kinematics.forward(root_pos + x[:, :3], turn, joint_rot)
        matrix = rot.quat_to_matrix(quat)
        maps = torch.cat([x[:, 3:6], x[:, 6:] @ self._spread.T], dim=1).unflatten(1, (-1, 3))
        local = torch.einsum("tcij,jc->tci", rot.left_jacobian(maps)[:, self.turned], self._axes)
        # the root's axes are the world's, those of a joint the parent's
        above = torch.cat(
            [torch.eye(3, dtype=x.dtype).expand(len(x), 3, 3, 3), matrix[:, self._parents]], dim=1
        )
        return Posed(pos=pos, rot=matrix, axes=(above @ local[..., None]).squeeze(-1))

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
