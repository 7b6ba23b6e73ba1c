"""Termination terms `root`, `body` and `fall`: when an episode is lost.

Source: `parc_motion.published`. It spares the first step of an episode; here every step counts, because the state
that is read always belongs to the present instant.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import TrackingFrame
from parc_deepmimic.terms.by_body import values_by_body
from parc_motion.skeletons import Skeleton

__all__ = [
    "BodyConfig",
    "BodyTerm",
    "FallConfig",
    "FallTerm",
    "RootConfig",
    "RootTerm",
    "body_lost",
    "fallen",
    "root_lost",
]


def root_lost(distance: Tensor, angle: Tensor, max_distance: float, max_angle: float) -> Tensor:
    """The root is further than `max_distance` m or rotated by more than `max_angle` rad, ``[N]`` bool."""
    return (distance > max_distance) | (angle > max_angle)


def body_lost(body_pos_error_squared: Tensor, limits: Tensor) -> Tensor:
    """Some body is further than its limit from its reference, both relative to their roots, ``[N]`` bool.

    Args:
        body_pos_error_squared: squared distances of the bodies after the root, ``[N, B - 1]`` m^2.
        limits: ``[B - 1]`` m.
    """
    return (body_pos_error_squared > limits.square()).any(dim=-1)


def fallen(contacts: Tensor, body_ids: Tensor) -> Tensor:
    """One of the bodies ``[K]`` touches something, ``[N]`` bool; contacts ``[N, B]`` bool."""
    return contacts[:, body_ids].any(dim=-1)


@attrs.frozen(kw_only=True)
class RootConfig:
    """Termination term `root`."""

    max_pos: float = setting(
        0.6,
        ge=1e-6,
        le=1e6,
        help="Episodes end when the root is further than this from its reference.",
        unit="m",
    )
    max_rot: float = setting(
        1.309,
        ge=1e-6,
        le=1000,
        help="Episodes end when the root is rotated further than this from its reference.",
        unit="rad",
    )


class RootTerm:
    """The root is too far from its reference."""

    def __init__(self, config: RootConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._config = config

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]`` bool."""
        c, scale = self._config, frame.limit_scale
        distance, angle = frame.root_pos_error_squared.sqrt(), frame.body_rot_error[:, 0]
        return root_lost(distance, angle, scale * c.max_pos, scale * c.max_rot)


def _wider_limits() -> dict[str, float]:
    """Published limits of the humanoid's bodies that differ from the common one."""
    return {
        "head": 1.0, "right_thigh": 1.0, "right_shin": 1.2, "right_foot": 10.0,
        "left_thigh": 1.0, "left_shin": 1.2, "left_foot": 10.0,
    }  # fmt: skip


@attrs.frozen(kw_only=True)
class BodyConfig:
    """Termination term `body`."""

    max_pos: float = setting(
        0.7,
        ge=1e-6,
        le=1e6,
        help="Episodes end when a body is further than this from its reference, both relative to their roots.",
        unit="m",
    )
    max_pos_of: dict[str, float] = setting(
        factory=_wider_limits,
        ge=1e-6,
        le=1e6,
        help="Limits of single bodies, by name, in place of max_pos.",
        unit="m",
    )


class BodyTerm:
    """A body is too far from its reference, relative to the root."""

    def __init__(self, config: BodyConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        by_body = values_by_body(
            config.max_pos_of,
            skeleton,
            default=config.max_pos,
            setting="termination.terms.body.max_pos_of",
            device=device,
        )
        self._limits = by_body[1:]

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]`` bool."""
        return body_lost(frame.body_pos_error_squared, frame.limit_scale * self._limits)


@attrs.frozen(kw_only=True)
class FallConfig:
    """Termination term `fall`."""

    bodies: tuple[str, ...] = setting(
        (), help="Episodes end when one of these bodies touches anything; none by default."
    )


class FallTerm:
    """A body that must not touch anything does."""

    def __init__(self, config: FallConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        ids = [skeleton.body_id(name) for name in config.bodies]
        self._body_ids = torch.tensor(ids, dtype=torch.long, device=device)

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]`` bool."""
        return fallen(frame.contacts, self._body_ids)
