"""`parc_mujoco.convert.StateLayout` on a device."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import CharacterState
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton
from parc_mujoco.convert import StateLayout, tensor_to_wxyz, tensor_to_xyzw

__all__ = ["DeviceLayout"]


class DeviceLayout:
    """Between PARC's states and MuJoCo's generalized state, without leaving the device."""

    def __init__(self, skeleton: Skeleton, device: torch.device) -> None:
        self.kinematics = Kinematics(skeleton, device)
        layout = StateLayout.of(skeleton)
        self.num_qpos = 7 + layout.ball_qpos.size + layout.hinge_qpos.size
        self._ball_joints = torch.from_numpy(layout.ball_joints).to(device)
        self._ball_qpos = torch.from_numpy(layout.ball_qpos.reshape(-1)).to(device)
        self._hinge_joints = torch.from_numpy(layout.hinge_joints).to(device)
        self._hinge_qpos = torch.from_numpy(layout.hinge_qpos).to(device)
        self._hinge_dofs = torch.from_numpy(layout.hinge_dofs).to(device)
        self._hinge_axes = torch.from_numpy(layout.hinge_axes).to(device, torch.float32)

    def qpos(self, state: CharacterState) -> Tensor:
        """Generalized positions ``[N, nq]``."""
        qpos = torch.empty(len(state.root_pos), self.num_qpos, device=state.root_pos.device)
        qpos[:, :3] = state.root_pos
        qpos[:, 3:7] = tensor_to_wxyz(rot.normalize(state.root_rot))
        balls = tensor_to_wxyz(rot.normalize(state.joint_rot[:, self._ball_joints]))
        qpos[:, self._ball_qpos] = balls.flatten(-2)
        qpos[:, self._hinge_qpos] = self.dof(state)[:, self._hinge_dofs]
        return qpos

    def qvel(self, state: CharacterState) -> Tensor:
        """Generalized velocities ``[N, nv]``; the root's angular velocity is in its own frame."""
        local = rot.rotate(rot.inverse(rot.normalize(state.root_rot)), state.root_ang_vel)
        return torch.cat([state.root_vel, local, state.dof_vel], dim=-1)

    def dof(self, state: CharacterState) -> Tensor:
        """Scalar coordinates (exponential maps, angles) ``[N, D]`` rad."""
        return self.kinematics.joint_rot_to_dof(state.joint_rot)

    def joint_rot(self, qpos: Tensor) -> Tensor:
        """Joint rotations ``[..., J, 4]`` xyzw."""
        joint_rot = torch.zeros(*qpos.shape[:-1], self.kinematics.skeleton.num_joints, 4, device=qpos.device)
        joint_rot[..., 3] = 1.0
        joint_rot[..., self._ball_joints, :] = tensor_to_xyzw(
            qpos[..., self._ball_qpos].unflatten(-1, (-1, 4))
        )
        joint_rot[..., self._hinge_joints, :] = rot.quat_about_axis(
            self._hinge_axes, qpos[..., self._hinge_qpos]
        )
        return joint_rot

    def root_ang_vel(self, qpos: Tensor, qvel: Tensor) -> Tensor:
        """Angular velocity of the root in the world frame ``[..., 3]`` rad/s."""
        return rot.rotate(tensor_to_xyzw(qpos[..., 3:7]), qvel[..., 3:6])
