"""Reward terms of motion imitation, each a pure function of tensors, 1 for a perfect match.

Source: published implementation (DeepMimic reward with key bodies and a contact term). Its contact term is unbounded
although its reward is declared to lie in 0..1; `contact_agreement` is the bounded one that is the default here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_deepmimic.errors import rotation_angle

__all__ = [
    "contact_agreement",
    "key_reward",
    "pose_reward",
    "published_contact_term",
    "root_reward",
    "root_vel_reward",
    "vel_reward",
]


def pose_reward(joint_rot: Tensor, ref_joint_rot: Tensor, weights: Tensor, k: float) -> Tensor:
    """exp(-k * weighted sum of squared joint rotations between the poses), ``[N]``; weights ``[J]``."""
    angle = rotation_angle(joint_rot, ref_joint_rot)
    return torch.exp(-k * (weights * angle.square()).sum(dim=-1))


def vel_reward(dof_vel: Tensor, ref_dof_vel: Tensor, weights: Tensor, k: float) -> Tensor:
    """exp(-k * weighted sum of squared velocity differences), ``[N]``; weights ``[D]``."""
    return torch.exp(-k * (weights * (dof_vel - ref_dof_vel).square()).sum(dim=-1))


def root_reward(
    root_pos: Tensor, ref_root_pos: Tensor, root_rot: Tensor, ref_root_rot: Tensor, k: float, k_rot: float
) -> Tensor:
    """exp(-k * (squared distance + k_rot * squared rotation)) of the roots, ``[N]``."""
    distance = (root_pos - ref_root_pos).square().sum(dim=-1)
    return torch.exp(-k * (distance + k_rot * rotation_angle(root_rot, ref_root_rot).square()))


def root_vel_reward(
    root_vel: Tensor,
    ref_root_vel: Tensor,
    root_ang_vel: Tensor,
    ref_root_ang_vel: Tensor,
    k: float,
    k_ang: float,
) -> Tensor:
    """exp(-k * (squared velocity difference + k_ang * squared angular velocity difference)), ``[N]``."""
    linear = (root_vel - ref_root_vel).square().sum(dim=-1)
    angular = (root_ang_vel - ref_root_ang_vel).square().sum(dim=-1)
    return torch.exp(-k * (linear + k_ang * angular))


def key_reward(key_offset: Tensor, ref_key_offset: Tensor, k: float) -> Tensor:
    """exp(-k * summed squared distances of key bodies ``[N, K, 3]``), each relative to its own root, ``[N]``."""
    return torch.exp(-k * (key_offset - ref_key_offset).square().sum(dim=(-1, -2)))


def contact_agreement(force: Tensor, ref_contacts: Tensor, weights: Tensor) -> Tensor:
    """Weighted share of bodies that touch where the reference does and do not where it does not, 0..1, ``[N]``.

    Args:
        force: size of the contact force per body, ``[N, B]`` N; 1 N and more is full contact.
        ref_contacts: ``[N, B]`` 0..1.
        weights: ``[B]``.
    """
    touching = force.clamp(max=1.0)
    agreement = 1.0 - (touching - ref_contacts).abs()
    return (weights * agreement).sum(dim=-1) / weights.sum()


def published_contact_term(force: Tensor, ref_contacts: Tensor, weight: float) -> Tensor:
    """weight * mean over bodies of (2 * wanted - 1) * min(force, 1 N), -weight..weight, ``[N]``."""
    return weight * ((2.0 * ref_contacts - 1.0) * force.clamp(max=1.0)).mean(dim=-1)
