"""Deviations of simulated trajectories from the reference, a vector whose squared norm is the cost."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import Reference, Rollout
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_mpc.config import CostConfig

__all__ = ["tracking_deviations"]


def tracking_deviations(
    rollout: Rollout, ref: Reference, residuals: Tensor, kinematics: Kinematics, weights: CostConfig
) -> Tensor:
    """Weighted differences from the reference, scaled so that the sum of their squares is the cost.

    The cost is the mean over the horizon of the weighted mean squares. Rows of diverged candidates may hold any values.

    Args:
        rollout: M environments with K candidates each, H steps.
        ref: the reference at the times of the rollout's states, ``[M * H, ...]``.
        residuals: ``[M, K, H, D]`` rad, servo targets minus the reference's.

    Returns:
        ``[M, K, N]``.
    """
    num, copies, horizon, _ = residuals.shape

    def simulated(values: Tensor) -> Tensor:
        return values.reshape(num, copies, horizon, *values.shape[2:])

    def target(values: Tensor) -> Tensor:
        return values.reshape(num, 1, horizon, *values.shape[1:])

    def difference(name: str) -> Tensor:
        return simulated(getattr(rollout, name)) - target(getattr(ref, name))

    def rotation_error(name: str) -> Tensor:
        return _half_angle_vector(target(getattr(ref, name)), simulated(getattr(rollout, name)))

    body_pos, _ = kinematics.forward(rollout.root_pos, rollout.root_rot, rollout.joint_rot)
    w = weights
    parts = [
        _weighted(simulated(body_pos) - target(ref.body_pos), w.body_pos, body_pos.shape[-2]),
        _weighted(difference("root_pos"), w.root_pos),
        _weighted(rotation_error("root_rot"), w.root_rot),
        _weighted(difference("root_vel"), w.root_vel),
        _weighted(difference("root_ang_vel"), w.root_ang_vel),
        _weighted(rotation_error("joint_rot"), w.joint_rot, ref.joint_rot.shape[-2]),
        _weighted(difference("dof_vel"), w.dof_vel, residuals.shape[-1]),
        _weighted(residuals, w.residual, residuals.shape[-1]),
    ]
    return torch.cat(parts, dim=-1).flatten(2) / horizon**0.5


def _weighted(difference: Tensor, weight: float, mean_over: int = 1) -> Tensor:
    """``sqrt(weight / mean_over)`` times the difference ``[M, K, H, ...]``, flattened to ``[M, K, H, n]``."""
    return difference.flatten(3) * (weight / mean_over) ** 0.5


def _half_angle_vector(a: Tensor, b: Tensor) -> Tensor:
    """Rotation from a to b as ``[..., 3]``: 2 sin(angle / 2) along its axis, close to the rotation vector if small."""
    relative = rot.multiply(rot.inverse(a), b)
    # q and -q are the same rotation: the one with w >= 0 has the smaller angle
    return 2.0 * relative[..., :3] * torch.where(relative[..., 3:] < 0.0, -1.0, 1.0)
