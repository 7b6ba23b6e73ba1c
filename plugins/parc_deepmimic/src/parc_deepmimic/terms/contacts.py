"""Reward terms `contact` and `published_contact`: bodies touch the ground where the reference does.

The published contact term is unbounded although its reward is declared to lie in 0..1; `contact` is a bounded one and
the default.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import TrackingFrame
from parc_motion.skeletons import Skeleton

__all__ = [
    "ContactConfig",
    "ContactTerm",
    "PublishedContactConfig",
    "PublishedContactTerm",
    "contact_agreement",
    "published_contact_reward",
]

FULL_CONTACT = 1.0  # N; larger forces do not count more


def contact_agreement(ground_force: Tensor, ref_contacts: Tensor, body_weights: Tensor) -> Tensor:
    """Weighted share of bodies that touch where the reference does and do not where it does not, 0..1, ``[N]``.

    Args:
        ground_force: size of the force of the ground on each body, ``[N, B]`` N; 1 N and more is full contact.
        ref_contacts: ``[N, B]`` 0..1.
        body_weights: ``[B]``.
    """
    touching = ground_force.clamp(max=FULL_CONTACT)
    agreement = 1.0 - (touching - ref_contacts).abs()
    return (body_weights * agreement).sum(dim=-1) / body_weights.sum()


def published_contact_reward(ground_force: Tensor, ref_contacts: Tensor) -> Tensor:
    """Mean over bodies of (2 * reference contact - 1) * min(force, 1 N), -1..1, ``[N]``."""
    return ((2.0 * ref_contacts - 1.0) * ground_force.clamp(max=FULL_CONTACT)).mean(dim=-1)


@attrs.frozen(kw_only=True)
class ContactConfig:
    """Reward term `contact`."""

    weight: float = setting(0.1, ge=0, le=1e9, help="Weight of the contact agreement term in the reward.")
    key_weight: float = setting(
        4.0, ge=1e-9, le=1e9, help="Weight of a hand or foot in the agreement; every other body has weight 1."
    )


class ContactTerm:
    """Share of bodies whose contact agrees with the reference's label."""

    value_range = (0.0, 1.0)

    def __init__(self, config: ContactConfig, *, skeleton: Skeleton, device: str | torch.device) -> None:
        self._body_weights = torch.ones(skeleton.num_bodies, device=device)
        self._body_weights[list(skeleton.key_bodies)] = config.key_weight

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, 0..1."""
        return contact_agreement(frame.ground_force, frame.reference.contacts, self._body_weights)


@attrs.frozen(kw_only=True)
class PublishedContactConfig:
    """Reward term `published_contact`."""

    weight: float = setting(5.0, ge=0, le=1e9, help="Weight of the published contact term in the reward.")


class PublishedContactTerm:
    """Rewards contacts that the reference has and punishes those that it does not have."""

    value_range = (-1.0, 1.0)

    def __init__(
        self, config: PublishedContactConfig, *, skeleton: Skeleton, device: str | torch.device
    ) -> None:
        pass

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]``, -1..1."""
        return published_contact_reward(frame.ground_force, frame.reference.contacts)
