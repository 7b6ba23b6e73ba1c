"""How far simulated trajectories are from the reference, as a vector whose squared length is the cost."""

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
    """Weighted differences from the reference, scaled so that their squares add up to the cost.

    The cost is the mean over the horizon of the weighted mean squares. Rows of candidates that diverged mean nothing.

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

    def off(name: str) -> Tensor:
        return simulated(getattr(rollout, name)) - target(getattr(ref, name))

    def turned(name: str) -> Tensor:
        return _turn(target(getattr(ref, name)), simulated(getattr(rollout, name)))

    body_pos, _ = kinematics.forward(rollout.root_pos, rollout.root_rot, rollout.joint_rot)
    w = weights
    parts = [
        _weighted(simulated(body_pos) - target(ref.body_pos), w.body_pos, body_pos.shape[-2]),
        _weighted(off("root_pos"), w.root_pos),
        _weighted(turned("root_rot"), w.root_rot),
        _weighted(off("root_vel"), w.root_vel),
        _weighted(off("root_ang_vel"), w.root_ang_vel),
        _weighted(turned("joint_rot"), w.joint_rot, ref.joint_rot.shape[-2]),
        _weighted(off("dof_vel"), w.dof_vel, residuals.shape[-1]),
        _weighted(residuals, w.residual, residuals.shape[-1]),
    ]
    return torch.cat(parts, dim=-1).flatten(2) / horizon**0.5


def _weighted(difference: Tensor, weight: float, mean_over: int = 1) -> Tensor:
    """The difference ``[M, K, H, ...]`` as ``[M, K, H, n]``, its squares weighted and meant to be averaged."""
    return difference.flatten(3) * (weight / mean_over) ** 0.5


def _turn(a: Tensor, b: Tensor) -> Tensor:
    """Rotation from a to b as ``[..., 3]``: 2 sin(angle / 2) along the axis, which needs no arctangent."""
    turn = rot.multiply(rot.inverse(a), b)
    return 2.0 * turn[..., :3] * torch.where(turn[..., 3:] < 0.0, -1.0, 1.0)
