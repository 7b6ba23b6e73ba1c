"""Where bodies are and how they move, from the coordinates of many simulations at once.

MuJoCo can do this itself, one simulation after the other, at the end of a step; over all copies at once the kernels of
`parc_motion.compiled` take a fraction of that time.
"""

from __future__ import annotations

import numpy as np

from parc_motion.compiled import add_body_velocities, place_bodies
from parc_motion.skeletons import Skeleton
from parc_mujoco.convert import StateLayout, rotate, to_xyzw

__all__ = ["BodyMotion"]


class BodyMotion:
    """Positions, rotations and velocities of all bodies in the world."""

    def __init__(self, skeleton: Skeleton, layout: StateLayout) -> None:
        self._parents = np.array(skeleton.parents, np.int64)
        self._offsets = skeleton.offsets.astype(np.float64)  # [B, 3] m
        self._ang_vel_of = _joint_ang_vel(skeleton, layout)
        self._room = self._make_room(0)

    def __call__(
        self, qpos: np.ndarray, qvel: np.ndarray, joint_rot: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Bodies of N copies.

        Args:
            qpos: ``[N, 7 + ...]``, root position and quaternion (wxyz) first.
            qvel: ``[N, 6 + D]``, root velocity (world) and angular velocity (root frame) first.
            joint_rot: ``[N, J, 4]``.

        Returns:
            Position ``[N, B, 3]`` m, rotation ``[N, B, 4]``, velocity ``[N, B, 3]`` m/s and angular velocity
            ``[N, B, 3]`` rad/s, float32.
        """
        count = len(qpos)
        if count != len(self._room[0]):
            self._room = self._make_room(count)
        joint, own, pos, rot, vel, ang_vel = self._room
        joint[:, 1:] = joint_rot
        own[:, 1:] = (qvel[:, 6:] @ self._ang_vel_of.T).reshape(count, -1, 3)  # in the child's frame
        pos[:, 0], rot[:, 0], vel[:, 0] = qpos[:, :3], to_xyzw(qpos[:, 3:7]), qvel[:, :3]
        ang_vel[:, 0] = rotate(rot[:, 0], qvel[:, 3:6])
        place_bodies(self._parents, self._offsets, joint, pos, rot)
        add_body_velocities(self._parents, own, pos, rot, vel, ang_vel)
        return tuple(array.astype(np.float32) for array in (pos, rot, vel, ang_vel))  # type: ignore[return-value]

    def _make_room(self, count: int) -> list[np.ndarray]:
        """Arrays that are used again by every call: joints, their spin, and the four results in double precision."""
        return [np.zeros((count, len(self._parents), width)) for width in (4, 3, 3, 4, 3, 3)]


def _joint_ang_vel(skeleton: Skeleton, layout: StateLayout) -> np.ndarray:
    """Matrix ``[3 J, D]`` that makes angular velocities of joints, in their child's frame, of dof velocities."""
    matrix = np.zeros((3 * skeleton.num_joints, skeleton.num_dofs))
    for joint, dofs in zip(layout.ball_joints, layout.ball_dofs):
        matrix[3 * joint : 3 * joint + 3, dofs] = np.eye(3)
    for joint, dof, axis in zip(layout.hinge_joints, layout.hinge_dofs, layout.hinge_axes):
        matrix[3 * joint : 3 * joint + 3, dof] = axis
    return matrix
