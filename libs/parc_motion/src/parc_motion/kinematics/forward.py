"""Forward kinematics and the conversion between joint rotations and scalar coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["Kinematics", "forward_kinematics"]

Levels = list[
    tuple[list[int], list[int], Tensor]
]  # bodies of equal depth, their parents, and the bodies as an index


class Kinematics:
    """A skeleton's geometry as tensors on one device: forward kinematics and dof conversion, any leading axes.

    >>> kin = Kinematics(skeleton)
    >>> body_pos, body_rot = kin.forward(root_pos, root_rot, joint_rot)
    """

    def __init__(
        self, skeleton: Skeleton, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.skeleton = skeleton
        self.device, self.dtype = torch.device(device), dtype
        self.offsets = torch.tensor(skeleton.offsets, device=device, dtype=dtype)  # [B, 3] m
        self.dof_lower = torch.tensor(skeleton.dof_lower, device=device, dtype=dtype)  # [D] rad
        self.dof_upper = torch.tensor(skeleton.dof_upper, device=device, dtype=dtype)  # [D] rad
        self._levels = _levels(skeleton.parents, self.device)
        places = list(zip(skeleton.joints, skeleton.dof_slices))
        balls = [(j, s) for j, (joint, s) in enumerate(places) if joint.kind is JointKind.BALL]
        hinges = [(j, s) for j, (joint, s) in enumerate(places) if joint.kind is JointKind.HINGE]

        def index(values: list) -> Tensor:
            return torch.tensor(values, device=device, dtype=torch.long)

        self._ball_joints = index([j for j, _ in balls])
        self._ball_dofs = index([[s.start, s.start + 1, s.start + 2] for _, s in balls]).reshape(-1, 3)
        self._hinge_joints = index([j for j, _ in hinges])
        self._hinge_dofs = index([s.start for _, s in hinges])
        axes = [skeleton.joints[j].axis.tolist() for j, _ in hinges]
        self._hinge_axes = torch.tensor(axes, device=device, dtype=dtype).reshape(-1, 3)

    def forward(self, root_pos: Tensor, root_rot: Tensor, joint_rot: Tensor) -> tuple[Tensor, Tensor]:
        """Position and rotation of every body.

        Args:
            root_pos: ``[..., 3]`` m.
            root_rot: ``[..., 4]``.
            joint_rot: ``[..., J, 4]``.

        Returns:
            body_pos ``[..., B, 3]`` m and body_rot ``[..., B, 4]``, world frame.
        """
        return _forward(self._levels, self.offsets, root_pos, root_rot, joint_rot)

    def dof_to_joint_rot(self, dof: Tensor) -> Tensor:
        """Joint rotations of scalar coordinates: ``[..., J, 4]`` for ``[..., D]`` rad."""
        shape = (*dof.shape[:-1], self.skeleton.num_joints, 4)
        joint_rot = torch.zeros(shape, device=dof.device, dtype=dof.dtype)
        joint_rot[..., 3] = 1.0
        joint_rot = joint_rot.index_copy(-2, self._ball_joints, rot.expmap_to_quat(dof[..., self._ball_dofs]))
        hinges = rot.quat_about_axis(self._hinge_axes, dof[..., self._hinge_dofs])
        return joint_rot.index_copy(-2, self._hinge_joints, hinges)

    def joint_rot_to_dof(self, joint_rot: Tensor) -> Tensor:
        """Scalar coordinates of joint rotations: ``[..., D]`` rad for ``[..., J, 4]``."""
        dof = torch.zeros(
            (*joint_rot.shape[:-2], self.skeleton.num_dofs), device=joint_rot.device, dtype=joint_rot.dtype
        )
        balls = rot.quat_to_expmap(joint_rot[..., self._ball_joints, :])
        dof = dof.index_copy(-1, self._ball_dofs.flatten(), balls.flatten(-2))
        angles = rot.hinge_angle(joint_rot[..., self._hinge_joints, :], self._hinge_axes)
        return dof.index_copy(-1, self._hinge_dofs, angles)

    def joint_ang_vel_to_dof_vel(self, ang_vel: Tensor) -> Tensor:
        """Velocities of the scalar coordinates: ``[..., D]`` for joint angular velocities ``[..., J, 3]`` rad/s.

        A ball joint's three are its angular velocity in its own (child) frame, a hinge's is that about its axis.
        """
        vel = torch.zeros(
            (*ang_vel.shape[:-2], self.skeleton.num_dofs), device=ang_vel.device, dtype=ang_vel.dtype
        )
        vel = vel.index_copy(-1, self._ball_dofs.flatten(), ang_vel[..., self._ball_joints, :].flatten(-2))
        hinges = (ang_vel[..., self._hinge_joints, :] * self._hinge_axes).sum(dim=-1)
        return vel.index_copy(-1, self._hinge_dofs, hinges)


def forward_kinematics(
    parents: Sequence[int], offsets: Tensor, root_pos: Tensor, root_rot: Tensor, joint_rot: Tensor
) -> tuple[Tensor, Tensor]:
    """Position ``[..., B, 3]`` m and rotation ``[..., B, 4]`` of every body of any tree, world frame.

    Args:
        parents: of each body, less than its own index; -1 of the root, body 0.
        offsets: place of each body in its parent's frame, ``[B, 3]`` or ``[..., B, 3]`` m; the root's is not used.
        root_pos: ``[..., 3]`` m.
        root_rot: ``[..., 4]``.
        joint_rot: of each body but the root against its parent, ``[..., B - 1, 4]``.
    """
    return _forward(_levels(parents, root_pos.device), offsets, root_pos, root_rot, joint_rot)


def _forward(
    levels: Levels, offsets: Tensor, root_pos: Tensor, root_rot: Tensor, joint_rot: Tensor
) -> tuple[Tensor, Tensor]:
    count = joint_rot.shape[-2] + 1
    positions: list[Tensor] = [root_pos] * count
    rots: list[Tensor] = [root_rot] * count
    for bodies, parents, index in levels:  # bodies of equal depth in one operation each
        parent_rot = torch.stack([rots[p] for p in parents], dim=-2)
        parent_pos = torch.stack([positions[p] for p in parents], dim=-2)
        pos = parent_pos + rot.rotate(parent_rot, offsets[..., index, :].expand_as(parent_pos))
        turned = rot.multiply(parent_rot, joint_rot[..., index - 1, :])
        for i, body in enumerate(bodies):
            positions[body], rots[body] = pos[..., i, :], turned[..., i, :]
    return torch.stack(positions, dim=-2), torch.stack(rots, dim=-2)


def _levels(parents: Sequence[int], device: torch.device) -> Levels:
    depth = [0] * len(parents)
    for body, parent in enumerate(parents):
        depth[body] = 0 if parent < 0 else depth[parent] + 1
    levels = []
    for d in range(1, max(depth) + 1):
        bodies = [b for b, at in enumerate(depth) if at == d]
        levels.append((bodies, [parents[b] for b in bodies], torch.tensor(bodies, device=device)))
    return levels
