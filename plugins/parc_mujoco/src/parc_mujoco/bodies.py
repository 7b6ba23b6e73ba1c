"""Where bodies are and how they move, from the coordinates of many simulations at once.

MuJoCo can do this itself, one simulation after the other, at the end of a step; over all copies at once it takes a
third of that time. Arrays have the copies on the last axis, so that every operation runs along contiguous memory.
"""

from __future__ import annotations

import numpy as np

from parc_motion.skeletons import Skeleton
from parc_mujoco.convert import StateLayout

__all__ = ["BodyMotion"]


class BodyMotion:
    """Positions, rotations and velocities of all bodies in the world."""

    def __init__(self, skeleton: Skeleton, layout: StateLayout) -> None:
        depth = [0] * skeleton.num_bodies
        for body, parent in enumerate(skeleton.parents[1:], start=1):
            depth[body] = depth[parent] + 1
        self._levels = []
        for level in range(1, max(depth) + 1):
            bodies = np.array([body for body, at in enumerate(depth) if at == level])
            self._levels.append((bodies, np.array(skeleton.parents)[bodies]))
        self._parents = np.array(skeleton.parents[1:])
        self._offsets = skeleton.offsets[1:].astype(np.float64).T[..., None]  # [3, J, 1] m
        self._spin = _joint_spin(skeleton, layout)

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
        count, bodies = len(qpos), len(self._parents) + 1
        joint = np.ascontiguousarray(joint_rot.transpose(2, 1, 0), dtype=np.float64)  # [4, J, N]
        own = (
            (self._spin @ qvel[:, 6:].T).reshape(-1, 3, count).transpose(1, 0, 2)
        )  # [3, J, N], in the child's frame
        pos, rot = np.empty((3, bodies, count)), np.empty((4, bodies, count))
        vel, spin = np.empty((3, bodies, count)), np.empty((3, bodies, count))
        pos[:, 0], rot[:, 0], vel[:, 0] = qpos[:, :3].T, qpos[:, [4, 5, 6, 3]].T, qvel[:, :3].T
        for children, parents in self._levels:
            rot[:, children] = _multiply(rot.take(parents, axis=1), joint.take(children - 1, axis=1))
        spin[:, 0] = _rotate(rot[:, 0], qvel[:, 3:6].T)
        arm = _rotate(rot.take(self._parents, axis=1), self._offsets)
        self._add_up(pos, arm)
        self._add_up(spin, _rotate(rot[:, 1:], own))
        self._add_up(vel, _cross(spin.take(self._parents, axis=1), arm))
        return _by_copy(pos), _by_copy(rot), _by_copy(vel), _by_copy(spin)

    def _add_up(self, values: np.ndarray, more: np.ndarray) -> None:
        """Each body's value is its parent's and what its joint adds ``[3, J, N]``; `values` has that of the root."""
        for children, parents in self._levels:
            values[:, children] = values.take(parents, axis=1) + more.take(children - 1, axis=1)


def _joint_spin(skeleton: Skeleton, layout: StateLayout) -> np.ndarray:
    """Matrix ``[3 J, D]`` that makes angular velocities of joints, in their child's frame, of dof velocities."""
    matrix = np.zeros((3 * skeleton.num_joints, skeleton.num_dofs))
    for joint, dofs in zip(layout.ball_joints, layout.ball_dofs):
        matrix[3 * joint : 3 * joint + 3, dofs] = np.eye(3)
    for joint, dof, axis in zip(layout.hinge_joints, layout.hinge_dofs, layout.hinge_axes):
        matrix[3 * joint : 3 * joint + 3, dof] = axis
    return matrix


def _by_copy(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.float32)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of ``[3, ...]``."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[j], b[k], out=out[i])
        out[i] -= a[k] * b[j]
    return out


def _rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vectors ``[3, ...]`` turned by quaternions ``[4, ...]`` (xyzw)."""
    t = _cross(q[:3], v)
    t *= 2.0
    out = _cross(q[:3], t)
    t *= q[3]
    out += t
    out += v
    return out


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quaternion products ``[4, ...]``; b is applied first."""
    out = np.empty(a.shape)
    out[:3] = _cross(a[:3], b[:3])
    out[:3] += a[3] * b[:3]
    out[:3] += a[:3] * b[3]
    np.multiply(a[3], b[3], out=out[3])
    out[3] -= (a[:3] * b[:3]).sum(axis=0)
    return out
