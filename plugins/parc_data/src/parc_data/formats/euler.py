"""Euler angles to quaternions and back, in the order that a file names its axes."""

from __future__ import annotations

import numpy as np
import torch

from parc_motion.kinematics import rotations

__all__ = ["euler_to_quat", "matrix_to_euler", "quat_to_matrix"]


def euler_to_quat(angles: np.ndarray, axes: str) -> np.ndarray:
    """Rotation ``R(axes[0]) R(axes[1]) ...``, the last axis applied first: ``[..., 4]`` xyzw.

    Args:
        angles: rad, one per letter of `axes`, ``[..., len(axes)]``.
        axes: letters x, y, z in any number and order, e.g. "zyx".
    """
    sines, cosines = np.sin(0.5 * angles), np.cos(0.5 * angles)
    quat = np.zeros((*angles.shape[:-1], 4))
    quat[..., 3] = 1.0
    for index, axis in enumerate(axes):
        one = "xyz".index(axis)
        two, three = (one + 1) % 3, (one + 2) % 3
        sine, cosine = sines[..., index], cosines[..., index]
        turned = np.empty_like(quat)
        # quat times (sine on one axis, cosine): Hamilton's product with the zeros left out
        turned[..., one] = quat[..., one] * cosine + quat[..., 3] * sine
        turned[..., two] = quat[..., two] * cosine + quat[..., three] * sine
        turned[..., three] = quat[..., three] * cosine - quat[..., two] * sine
        turned[..., 3] = quat[..., 3] * cosine - quat[..., one] * sine
        quat = turned
    return quat


def quat_to_matrix(quat: np.ndarray) -> np.ndarray:
    """Rotation matrices ``[..., 3, 3]`` of unit quaternions ``[..., 4]`` xyzw, of and as NumPy arrays."""
    return rotations.quat_to_matrix(torch.from_numpy(np.ascontiguousarray(quat))).numpy()


def matrix_to_euler(matrix: np.ndarray) -> np.ndarray:
    """Angles z, y, x with ``R = Rz Ry Rx``, ``[..., 3]`` rad; where y is a right angle, x is taken as 0."""
    cosine = np.hypot(matrix[..., 0, 0], matrix[..., 1, 0])
    y = np.arctan2(-matrix[..., 2, 0], cosine)
    locked = cosine < 1e-9
    z = np.where(
        locked,
        np.arctan2(-matrix[..., 0, 1], matrix[..., 1, 1]),
        np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]),
    )
    x = np.where(locked, 0.0, np.arctan2(matrix[..., 2, 1], matrix[..., 2, 2]))
    return np.stack([z, y, x], axis=-1)
