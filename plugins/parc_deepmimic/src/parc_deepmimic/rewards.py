"""Reward terms of motion imitation, each a pure function of differences to the reference, 1 for a perfect match.

Source: published implementation (DeepMimic reward with key bodies and a contact term); the terms of body positions
and rotations are those that the documents list besides. The published contact term is unbounded although its reward
is declared to lie in 0..1; `contact_agreement` is the bounded one that is the default here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_deepmimic.difference import square_length

__all__ = [
    "body_pos_reward",
    "body_rot_reward",
    "contact_agreement",
    "key_reward",
    "pose_reward",
    "published_contact_term",
    "root_reward",
    "root_vel_reward",
    "vel_reward",
]


def pose_reward(joint_angle: Tensor, weights: Tensor, k: float) -> Tensor:
    """exp(-k * weighted sum of squared rotations between the joints ``[N, J]`` rad), ``[N]``; weights ``[J]``."""
    return torch.exp(-k * (weights * joint_angle.square()).sum(dim=-1))


def vel_reward(dof_vel: Tensor, weights: Tensor, k: float) -> Tensor:
    """exp(-k * weighted sum of squared velocity differences ``[N, D]`` rad/s), ``[N]``; weights ``[D]``."""
    return torch.exp(-k * (weights * dof_vel.square()).sum(dim=-1))


def root_reward(root_square: Tensor, root_angle: Tensor, k: float, k_rot: float) -> Tensor:
    """exp(-k * (squared distance of the roots + k_rot * squared rotation)), ``[N]``.

    Args:
        root_square: squared distance of the roots, ``[N]`` m^2.
        root_angle: rotation between them, ``[N]`` rad.
    """
    return torch.exp(-k * (root_square + k_rot * root_angle.square()))


def root_vel_reward(root_vel: Tensor, root_ang_vel: Tensor, k: float, k_ang: float) -> Tensor:
    """exp(-k * (squared velocity difference + k_ang * squared angular velocity difference)) of ``[N, 3]``, ``[N]``."""
    return torch.exp(-k * (square_length(root_vel) + k_ang * square_length(root_ang_vel)))


def key_reward(key_pos: Tensor, k: float) -> Tensor:
    """exp(-k * summed squared distances of the end effectors), ``[N]``.

    Args:
        key_pos: differences of hands and feet, each relative to its own root, ``[N, K, 3]`` m.
    """
    return torch.exp(-k * key_pos.square().sum(dim=(-1, -2)))


def body_pos_reward(body_square: Tensor, k: float) -> Tensor:
    """exp(-k * mean squared distance of bodies ``[N, B - 1]`` m^2, each relative to its own root), ``[N]``."""
    return torch.exp(-k * body_square.mean(dim=-1))


def body_rot_reward(body_angle: Tensor, k: float) -> Tensor:
    """exp(-k * mean squared rotation between bodies ``[N, B]`` rad, world frame), ``[N]``."""
    return torch.exp(-k * body_angle.square().mean(dim=-1))


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
