"""Finite-difference velocities of a clip.

Source: `parc_motion.published`: forward differences, the last frame repeats the one before it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_motion.kinematics import rotations as rot

__all__ = ["angular_velocity", "joint_angular_velocity", "linear_velocity"]


def linear_velocity(pos: Tensor, fps: float) -> Tensor:
    """Velocity along axis 0: ``[T, ..., 3]`` m/s for ``[T, ..., 3]`` m."""
    return _repeat_last((pos[1:] - pos[:-1]) * fps, pos)


def angular_velocity(q: Tensor, fps: float) -> Tensor:
    """Angular velocity in the frame that `q` turns into (the world, for a root): ``[T, ..., 3]`` rad/s."""
    return _repeat_last(rot.quat_to_expmap(rot.multiply(q[1:], rot.inverse(q[:-1]))) * fps, q[..., :3])


def joint_angular_velocity(q: Tensor, fps: float) -> Tensor:
    """Angular velocity in the joint's own (child) frame, as MuJoCo's ball joints have it: ``[T, ..., 3]`` rad/s."""
    return _repeat_last(rot.quat_to_expmap(rot.multiply(rot.inverse(q[:-1]), q[1:])) * fps, q[..., :3])


def _repeat_last(differences: Tensor, like: Tensor) -> Tensor:
    if len(differences) == 0:
        return torch.zeros_like(like)
    return torch.cat([differences, differences[-1:]], dim=0)
