"""Forward kinematics in NumPy arrays, the twin of `parc_motion.kinematics.Kinematics.forward`."""

from __future__ import annotations

import numpy as np

from parc_motion.compiled.jit import kernel
from parc_motion.compiled.rotations import cross_product, write_product, write_rotated

__all__ = ["add_body_velocities", "place_bodies"]


@kernel()
def place_bodies(
    parent: np.ndarray, offset: np.ndarray, joint: np.ndarray, pos: np.ndarray, rot: np.ndarray
) -> None:
    """Write position and rotation of every body after the root.

    Args:
        parent: ``[B]`` int64, each less than its body's index.
        offset: place in the parent's frame, ``[B, 3]`` m.
        joint: rotation against the parent, ``[T, B, 4]``; that of the root is not used.
        pos: ``[T, B, 3]`` m, world; has the root's, body 0.
        rot: ``[T, B, 4]``, world; has the root's.
    """
    arm = np.empty(3, pos.dtype)
    for t in range(len(pos)):
        for b in range(1, len(parent)):
            p = parent[b]
            write_rotated(rot[t, p], offset[b, 0], offset[b, 1], offset[b, 2], arm)
            for i in range(3):
                pos[t, b, i] = pos[t, p, i] + arm[i]
            write_product(rot[t, p], joint[t, b], rot[t, b])


@kernel()
def add_body_velocities(
    parent: np.ndarray,
    joint_ang_vel: np.ndarray,
    pos: np.ndarray,
    rot: np.ndarray,
    vel: np.ndarray,
    ang_vel: np.ndarray,
) -> None:
    """Write velocity and angular velocity of every body after the root.

    Args:
        parent: as for `place_bodies`, whose `pos` and `rot` are taken.
        joint_ang_vel: of each body against its parent, in its own frame, ``[T, B, 3]`` rad/s; that of the root is not
            used.
        vel: ``[T, B, 3]`` m/s, world; has the root's.
        ang_vel: ``[T, B, 3]`` rad/s, world; has the root's.
    """
    own = np.empty(3, vel.dtype)
    for t in range(len(pos)):
        for b in range(1, len(parent)):
            p = parent[b]
            spin, a = ang_vel[t, p], joint_ang_vel[t, b]
            x, y, z = (
                pos[t, b, 0] - pos[t, p, 0],
                pos[t, b, 1] - pos[t, p, 1],
                pos[t, b, 2] - pos[t, p, 2],
            )
            vx, vy, vz = cross_product(spin[0], spin[1], spin[2], x, y, z)
            vel[t, b, 0], vel[t, b, 1], vel[t, b, 2] = vel[t, p, 0] + vx, vel[t, p, 1] + vy, vel[t, p, 2] + vz
            write_rotated(rot[t, b], a[0], a[1], a[2], own)
            for i in range(3):
                ang_vel[t, b, i] = spin[i] + own[i]
