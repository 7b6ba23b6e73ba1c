"""Reward terms `root` and `root_vel`: position, rotation and velocities of the root."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import TrackingFrame
from parc_motion.kinematics.rotations import squared_length
from parc_motion.skeletons import Skeleton

__all__ = ["RootConfig", "RootTerm", "RootVelConfig", "RootVelTerm", "root_reward", "root_vel_reward"]


def root_reward(root_pos_error_squared: Tensor, root_rot_error: Tensor, k: float, k_rot: float) -> Tensor:
    """exp(-k * (squared distance of the roots + k_rot * squared rotation)), ``[N]``.

    Args:
        root_pos_error_squared: squared distance of the roots, ``[N]`` m^2.
        root_rot_error: angle between them, ``[N]`` rad.
    """
    return torch.exp(-k * (root_pos_error_squared + k_rot * root_rot_error.square()))


def root_vel_reward(root_vel_error: Tensor, root_ang_vel_error: Tensor, k: float, k_ang: float) -> Tensor:
    """exp(-k * (squared velocity error + k_ang * squared angular velocity error)) of ``[N, 3]``, ``[N]``."""
    return torch.exp(-k * (squared_length(root_vel_error) + k_ang * squared_length(root_ang_vel_error)))


@attrs.frozen(kw_only=True)
class RootConfig:
    """Reward term `root`."""

    weight: float = setting(
        0.15, ge=0, le=1e9, help="Weight of the root position and rotation term in the reward."
    )
    k: float = setting(
        5.0,
        ge=0,
        le=1e6,
        help="Sharpness: the term is exp(-k * (squared distance + k_rot * squared angle)).",
        unit="1/m^2",
    )
    k_rot: float = setting(
        0.1, ge=0, le=1e6, help="Weight of the rotation error against the position error.", unit="m^2/rad^2"
    )


class RootTerm:
    """How well position and rotation of the root match."""

    value_range = (0.0, 1.0)

    def __init__(self, config: RootConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._config = config

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        c = self._config
        return root_reward(frame.root_pos_error_squared, frame.body_rot_error[:, 0], c.k, c.k_rot)


@attrs.frozen(kw_only=True)
class RootVelConfig:
    """Reward term `root_vel`."""

    weight: float = setting(0.1, ge=0, le=1e9, help="Weight of the root velocity term in the reward.")
    k: float = setting(
        1.0,
        ge=0,
        le=1e6,
        help="Sharpness: the term is exp(-k * (squared velocity error + k_ang * squared angular velocity error)).",
        unit="s^2/m^2",
    )
    k_ang: float = setting(
        0.1,
        ge=0,
        le=1e6,
        help="Weight of the angular velocity error against the velocity error.",
        unit="m^2/rad^2",
    )


class RootVelTerm:
    """How well linear and angular velocity of the root match."""

    value_range = (0.0, 1.0)

    def __init__(self, config: RootVelConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._config = config

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        c = self._config
        return root_vel_reward(frame.root_vel_error, frame.root_ang_vel_error, c.k, c.k_ang)
