"""Between MuJoCo's generalized state and PARC's: the only place where quaternions are wxyz.

MuJoCo's free joint has its linear velocity in the world frame and its angular velocity in the body's own frame;
a ball joint's velocity is its angular velocity in the child's frame, which is also what PARC calls `dof_vel`.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import JointKind, Skeleton

__all__ = [
    "StateLayout",
    "rotate",
    "tensor_to_wxyz",
    "tensor_to_xyzw",
    "to_wxyz",
    "to_xyzw",
]


def to_wxyz(q: np.ndarray) -> np.ndarray:
    """Quaternions as MuJoCo has them: ``[..., 4]`` for xyzw."""
    return q[..., [3, 0, 1, 2]]


def to_xyzw(q: np.ndarray) -> np.ndarray:
    """Quaternions as PARC has them: ``[..., 4]`` for wxyz."""
    return q[..., [1, 2, 3, 0]]


def tensor_to_wxyz(q: Tensor) -> Tensor:
    """Quaternions as MuJoCo has them: ``[..., 4]`` for xyzw, on their device."""
    return torch.roll(q, 1, dims=-1)


def tensor_to_xyzw(q: Tensor) -> Tensor:
    """Quaternions as PARC has them: ``[..., 4]`` for wxyz, on their device."""
    return torch.roll(q, -1, dims=-1)


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vectors turned by rotations (xyzw): ``[..., 3]`` float64."""
    return rot.rotate(_double(q), _double(v)).numpy()


@attrs.frozen(kw_only=True, eq=False)
class StateLayout:
    """Where a skeleton's joints lie in `qpos`: 3 of root position, 4 of root rotation, then joint by joint.

    `qvel` needs no map: six numbers of the root, then the dofs in the skeleton's order.
    """

    num_joints: int
    kinematics: Kinematics  # in double precision
    ball_joints: np.ndarray  # [b] int64, joints
    ball_qpos: np.ndarray  # [b, 4] int64, their places in qpos
    hinge_joints: np.ndarray  # [h] int64
    hinge_qpos: np.ndarray  # [h] int64
    hinge_axes: np.ndarray  # [h, 3] unit vectors
    ball_dofs: np.ndarray  # [b, 3] int64, places in a dof vector
    hinge_dofs: np.ndarray  # [h] int64

    @staticmethod
    def of(skeleton: Skeleton) -> StateLayout:
        """The layout of a skeleton whose model `parc_mujoco.model` built."""
        balls, hinges, at = [], [], 7
        for j, (joint, dofs) in enumerate(zip(skeleton.joints, skeleton.dof_slices)):
            if joint.kind is JointKind.BALL:
                balls.append((j, range(at, at + 4), range(dofs.start, dofs.stop)))
                at += 4
            elif joint.kind is JointKind.HINGE:
                hinges.append((j, at, joint.axis.astype(np.float64), dofs.start))
                at += 1
        return StateLayout(
            num_joints=skeleton.num_joints,
            kinematics=Kinematics(skeleton, dtype=torch.float64),
            ball_joints=np.array([j for j, _, _ in balls], dtype=np.int64),
            ball_qpos=np.array([list(q) for _, q, _ in balls], dtype=np.int64).reshape(-1, 4),
            ball_dofs=np.array([list(d) for _, _, d in balls], dtype=np.int64).reshape(-1, 3),
            hinge_joints=np.array([j for j, _, _, _ in hinges], dtype=np.int64),
            hinge_qpos=np.array([q for _, q, _, _ in hinges], dtype=np.int64),
            hinge_axes=np.array([a for _, _, a, _ in hinges], dtype=np.float64).reshape(-1, 3),
            hinge_dofs=np.array([d for _, _, _, d in hinges], dtype=np.int64),
        )

    def qpos(self, root_pos: np.ndarray, root_rot: np.ndarray, joint_rot: np.ndarray) -> np.ndarray:
        """Generalized positions ``[..., nq]`` for ``[..., 3]`` m, ``[..., 4]`` and ``[..., J, 4]`` (xyzw)."""
        size = 7 + self.ball_qpos.size + self.hinge_qpos.size
        qpos = np.empty((*root_pos.shape[:-1], size), dtype=np.float64)
        qpos[..., :3] = root_pos
        qpos[..., 3:7] = to_wxyz(_unit(root_rot))
        qpos[..., self.ball_qpos] = to_wxyz(_unit(joint_rot[..., self.ball_joints, :]))
        qpos[..., self.hinge_qpos] = self.dof(joint_rot)[..., self.hinge_dofs]
        return qpos

    def dof(self, joint_rot: np.ndarray) -> np.ndarray:
        """Scalar coordinates (exponential maps, angles): ``[..., D]`` rad for ``[..., J, 4]``."""
        return self.kinematics.joint_rot_to_dof(_double(joint_rot)).numpy()

    def joint_rot(self, qpos: np.ndarray) -> np.ndarray:
        """Joint rotations: ``[..., J, 4]`` xyzw, fixed joints identity."""
        joint_rot = np.zeros((*qpos.shape[:-1], self.num_joints, 4), dtype=qpos.dtype)
        joint_rot[..., 3] = 1.0
        joint_rot[..., self.ball_joints, :] = qpos.take(to_xyzw(self.ball_qpos), axis=-1)
        half = 0.5 * qpos[..., self.hinge_qpos]
        joint_rot[..., self.hinge_joints, :3] = np.sin(half)[..., None] * self.hinge_axes
        joint_rot[..., self.hinge_joints, 3] = np.cos(half)
        return joint_rot

    def qvel(
        self, root_rot: np.ndarray, root_vel: np.ndarray, root_ang_vel: np.ndarray, dof_vel: np.ndarray
    ) -> np.ndarray:
        """Generalized velocities ``[..., nv]``; `root_ang_vel` is in the world frame, rad/s."""
        local = rot.rotate_inverse(_double(_unit(root_rot)), _double(root_ang_vel)).numpy()
        return np.concatenate([root_vel, local, dof_vel], axis=-1, dtype=np.float64)

    def root_ang_vel(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """Angular velocity of the root in the world frame: ``[..., 3]`` rad/s."""
        return rotate(to_xyzw(qpos[..., 3:7]), qvel[..., 3:6])


def _double(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))


def _unit(q: np.ndarray) -> np.ndarray:
    q = np.asarray(q, dtype=np.float64)
    return q / np.linalg.norm(q, axis=-1, keepdims=True)
