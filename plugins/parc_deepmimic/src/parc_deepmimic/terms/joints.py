"""Reward terms `pose` and `vel`: rotations and velocities of the joints."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import TrackingFrame
from parc_deepmimic.terms.by_body import values_by_body
from parc_motion.skeletons import Skeleton

__all__ = ["PoseConfig", "PoseTerm", "VelConfig", "VelTerm", "pose_reward", "vel_reward"]


def _joint_weights() -> dict[str, float]:
    """Published weights of the humanoid's joints."""
    return {
        "torso": 1.0, "head": 0.6, "right_upper_arm": 0.6, "right_lower_arm": 0.4, "right_hand": 0.0,
        "left_upper_arm": 0.6, "left_lower_arm": 0.4, "left_hand": 0.0, "right_thigh": 1.0, "right_shin": 0.6,
        "right_foot": 0.4, "left_thigh": 1.0, "left_shin": 0.6, "left_foot": 0.4,
    }  # fmt: skip


_JOINT_WEIGHTS_HELP = (
    "Weight of each joint, by the name of the body that it moves; joints not named have weight 1."
)


def pose_reward(joint_rot_error: Tensor, joint_weights: Tensor, k: float) -> Tensor:
    """exp(-k * weighted sum of squared joint rotation errors ``[N, J]`` rad), ``[N]``; weights ``[J]``."""
    return torch.exp(-k * (joint_weights * joint_rot_error.square()).sum(dim=-1))


def vel_reward(dof_vel_error: Tensor, dof_weights: Tensor, k: float) -> Tensor:
    """exp(-k * weighted sum of squared velocity errors ``[N, D]`` rad/s), ``[N]``; weights ``[D]``."""
    return torch.exp(-k * (dof_weights * dof_vel_error.square()).sum(dim=-1))


@attrs.frozen(kw_only=True)
class PoseConfig:
    """Reward term `pose`."""

    weight: float = setting(0.5, ge=0, le=1e9, help="Weight of the joint rotation term in the reward.")
    k: float = setting(
        0.25, ge=0, le=1e6, help="Sharpness: the term is exp(-k * squared error).", unit="1/rad^2"
    )
    joint_weights: dict[str, float] = setting(factory=_joint_weights, ge=0, le=1e9, help=_JOINT_WEIGHTS_HELP)


class PoseTerm:
    """How well the joint rotations match."""

    value_range = (0.0, 1.0)

    def __init__(self, config: PoseConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._k = config.k
        by_body = values_by_body(
            config.joint_weights,
            skeleton,
            default=1.0,
            setting="reward.terms.pose.joint_weights",
            device=device,
        )
        self._joint_weights = by_body[1:]

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        return pose_reward(frame.joint_rot_error, self._joint_weights, self._k)


@attrs.frozen(kw_only=True)
class VelConfig:
    """Reward term `vel`."""

    weight: float = setting(0.1, ge=0, le=1e9, help="Weight of the joint velocity term in the reward.")
    k: float = setting(
        0.01, ge=0, le=1e6, help="Sharpness: the term is exp(-k * squared error).", unit="s^2/rad^2"
    )
    joint_weights: dict[str, float] = setting(factory=_joint_weights, ge=0, le=1e9, help=_JOINT_WEIGHTS_HELP)


class VelTerm:
    """How well the joint velocities match."""

    value_range = (0.0, 1.0)

    def __init__(self, config: VelConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._k = config.k
        by_body = values_by_body(
            config.joint_weights,
            skeleton,
            default=1.0,
            setting="reward.terms.vel.joint_weights",
            device=device,
        )
        dofs = torch.tensor([joint.kind.num_dofs for joint in skeleton.joints], device=device)
        self._dof_weights = by_body[1:].repeat_interleave(dofs)

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        return vel_reward(frame.dof_vel_error, self._dof_weights, self._k)
