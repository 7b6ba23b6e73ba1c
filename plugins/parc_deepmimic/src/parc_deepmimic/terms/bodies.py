"""Reward terms `key`, `body_pos` and `body_rot`: where the bodies are, each relative to its own root.

`body_pos` and `body_rot` are named by the PARC paper and missing in the published implementation; their sharpness is
ours: a mean error of 0.3 m or 0.5 rad leaves 0.4 of a term.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import TrackingFrame
from parc_motion.skeletons import Skeleton

__all__ = [
    "BodyPosConfig",
    "BodyPosTerm",
    "BodyRotConfig",
    "BodyRotTerm",
    "KeyConfig",
    "KeyTerm",
    "body_pos_reward",
    "body_rot_reward",
    "key_reward",
]


def key_reward(key_pos_error: Tensor, k: float) -> Tensor:
    """exp(-k * summed squared position errors of the key bodies), ``[N]``.

    Args:
        key_pos_error: of hands and feet, each relative to its own root, ``[N, K, 3]`` m.
    """
    return torch.exp(-k * key_pos_error.square().sum(dim=(-1, -2)))


def body_pos_reward(body_pos_error_squared: Tensor, k: float) -> Tensor:
    """exp(-k * mean squared position error of bodies ``[N, B - 1]`` m^2), ``[N]``."""
    return torch.exp(-k * body_pos_error_squared.mean(dim=-1))


def body_rot_reward(body_rot_error: Tensor, k: float) -> Tensor:
    """exp(-k * mean squared rotation error of bodies ``[N, B]`` rad, world frame), ``[N]``."""
    return torch.exp(-k * body_rot_error.square().mean(dim=-1))


@attrs.frozen(kw_only=True)
class KeyConfig:
    """Reward term `key`."""

    weight: float = setting(
        0.15, ge=0, le=1e9, help="Weight of the hand and foot position term in the reward."
    )
    k: float = setting(
        10.0, ge=0, le=1e6, help="Sharpness: the term is exp(-k * summed squared distances).", unit="1/m^2"
    )


class KeyTerm:
    """How well the positions of the key bodies (hands and feet) match, relative to the root."""

    value_range = (0.0, 1.0)

    def __init__(self, config: KeyConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._k = config.k
        # rows among the bodies after the root; a root that is a key body has no error relative to itself
        rows = [body - 1 for body in skeleton.key_bodies if body > 0]
        self._rows = torch.tensor(rows, dtype=torch.long, device=device)

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        return key_reward(frame.body_pos_error.index_select(1, self._rows), self._k)


@attrs.frozen(kw_only=True)
class BodyPosConfig:
    """Reward term `body_pos`."""

    weight: float = setting(
        0.15, ge=0, le=1e9, help="Weight of the term for the positions of all bodies in the reward."
    )
    k: float = setting(
        10.0, ge=0, le=1e6, help="Sharpness: the term is exp(-k * mean squared distance).", unit="1/m^2"
    )


class BodyPosTerm:
    """How well the positions of all bodies match, relative to the root."""

    value_range = (0.0, 1.0)

    def __init__(self, config: BodyPosConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._k = config.k

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        return body_pos_reward(frame.body_pos_error_squared, self._k)


@attrs.frozen(kw_only=True)
class BodyRotConfig:
    """Reward term `body_rot`."""

    weight: float = setting(
        0.1, ge=0, le=1e9, help="Weight of the term for the rotations of all bodies in the reward."
    )
    k: float = setting(
        3.5, ge=0, le=1e6, help="Sharpness: the term is exp(-k * mean squared angle).", unit="1/rad^2"
    )


class BodyRotTerm:
    """How well the rotations of all bodies match, in the world frame."""

    value_range = (0.0, 1.0)

    def __init__(self, config: BodyRotConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._k = config.k

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        return body_rot_reward(frame.body_rot_error, self._k)
