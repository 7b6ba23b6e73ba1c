"""What a planned trajectory costs."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces.simulator import Rollout
from parc_core.interfaces.tracker_env import Reference
from parc_core.kinematics.forward import Kinematics
from parc_mpc.config import CostConfig

__all__ = ["tracking_cost"]


def tracking_cost(
    rollout: Rollout, ref: Reference, residuals: Tensor, kinematics: Kinematics, weights: CostConfig
) -> Tensor:
    """Mean over the horizon of the weighted squared differences from the reference; infinite where it diverged.

    Args:
        rollout: M environments with K candidates each, H steps.
        ref: the reference at the times of the rollout's states, ``[M * H, ...]``.
        residuals: ``[M, K, H, D]`` rad, servo targets minus the reference's.

    Returns:
        ``[M, K]``.
    """
    num, copies, horizon, _ = residuals.shape

    def simulated(values: Tensor) -> Tensor:
        return values.reshape(num, copies, horizon, *values.shape[2:])

    def target(values: Tensor) -> Tensor:
        return values.reshape(num, 1, horizon, *values.shape[1:])

    body_pos, _ = kinematics.forward(rollout.root_pos, rollout.root_rot, rollout.joint_rot)
    w = weights
    cost = w.body_pos * _square(simulated(body_pos) - target(ref.body_pos)).mean(dim=-1)
    cost += w.root_pos * _square(simulated(rollout.root_pos) - target(ref.root_pos))
    cost += w.root_rot * _angle_square(simulated(rollout.root_rot), target(ref.root_rot))
    cost += w.root_vel * _square(simulated(rollout.root_vel) - target(ref.root_vel))
    cost += w.root_ang_vel * _square(simulated(rollout.root_ang_vel) - target(ref.root_ang_vel))
    cost += w.joint_rot * _angle_square(simulated(rollout.joint_rot), target(ref.joint_rot)).mean(dim=-1)
    cost += w.dof_vel * (simulated(rollout.dof_vel) - target(ref.dof_vel)).square().mean(dim=-1)
    cost += w.residual * residuals.square().mean(dim=-1)
    total = cost.mean(dim=-1)
    return torch.where(rollout.finite.reshape(num, copies), total, torch.inf)


def _square(difference: Tensor) -> Tensor:
    return difference.square().sum(dim=-1)


def _angle_square(a: Tensor, b: Tensor) -> Tensor:
    # |sin(angle / 2)| needs one product of quaternions and no arctangent: 4 sin^2 is angle^2 but for angles near pi
    return 4.0 * (1.0 - (a * b).sum(dim=-1).square()).clamp(min=0.0)
