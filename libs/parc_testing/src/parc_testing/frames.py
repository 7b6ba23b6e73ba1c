"""Tracking frames to call terms with, without an environment."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from parc_core.interfaces import BodyState, Reference, TrackingFrame
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton, load_skeleton

__all__ = ["make_tracking_frame"]


def make_tracking_frame(
    num_envs: int = 4,
    *,
    error: float = 0.1,
    seed: int = 0,
    skeleton: Skeleton | None = None,
    **override: Any,
) -> TrackingFrame:
    """Characters in random poses about 1 m above level ground, each beside its reference.

    >>> frame = make_tracking_frame(8, error=0.0)
    >>> assert (my_term(frame) == 1.0).all()

    Args:
        error: how far the states are from their references: standard deviation of positions (m), rotations (rad) and
            velocities (m/s and rad/s). 0 makes them equal.
        skeleton: the humanoid where not given.
        override: fields of the frame to replace.
    """
    skeleton = skeleton or load_skeleton("humanoid")
    rng = torch.Generator().manual_seed(seed)
    reference = _reference(num_envs, skeleton, rng)
    contacts = reference.contacts
    fields: dict[str, Any] = {
        "state": _state(reference, error, skeleton, rng),
        "reference": reference,
        "ground_force": 100.0 * contacts,
        "contacts": contacts > 0.5,
        "action": torch.randn(num_envs, skeleton.num_dofs, generator=rng),
        "previous_action": torch.randn(num_envs, skeleton.num_dofs, generator=rng),
        "motion_ids": torch.zeros(num_envs, dtype=torch.long),
        "motion_times": torch.arange(num_envs) / 30.0,
        "training": True,
        "limit_scale": 1.0,
        "skeleton": skeleton,
        "control_hz": 30.0,
        "ground": lambda xy: torch.zeros(xy.shape[:-1]),
        "lookup": lambda seconds: reference,
    }
    return TrackingFrame(**{**fields, **override})


def _reference(count: int, skeleton: Skeleton, rng: torch.Generator) -> Reference:
    def noise(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=rng)

    root_pos = torch.tensor([0.0, 0.0, 1.0]) + 0.1 * noise(3)
    root_rot = rot.expmap_to_quat(0.3 * noise(3))
    kinematics = Kinematics(skeleton)
    joint_rot = kinematics.dof_to_joint_rot(0.3 * noise(skeleton.num_dofs))
    body_pos, body_rot = kinematics.forward(root_pos, root_rot, joint_rot)
    return Reference(
        root_pos=root_pos,
        root_rot=root_rot,
        joint_rot=joint_rot,
        root_vel=noise(3),
        root_ang_vel=noise(3),
        dof_vel=noise(skeleton.num_dofs),
        contacts=(torch.rand(count, skeleton.num_bodies, generator=rng) < 0.3).float(),
        body_pos=body_pos,
        body_rot=body_rot,
    )


def _state(ref: Reference, error: float, skeleton: Skeleton, rng: torch.Generator) -> BodyState:
    """A state beside a reference; bodies other than the root have no velocity."""

    def noise(like: Tensor) -> Tensor:
        return error * torch.randn(like.shape, generator=rng)

    kinematics = Kinematics(skeleton)
    joint_rot, body_pos, body_rot = ref.joint_rot, ref.body_pos, ref.body_rot
    if error > 0.0:  # a product with the identity would not be equal to the last bit
        root_rot = rot.multiply(rot.expmap_to_quat(noise(ref.root_vel)), ref.root_rot)
        joint_rot = rot.multiply(joint_rot, kinematics.dof_to_joint_rot(noise(ref.dof_vel)))
        body_pos, body_rot = kinematics.forward(ref.root_pos + noise(ref.root_pos), root_rot, joint_rot)
    body_vel, body_ang_vel = torch.zeros_like(ref.body_pos), torch.zeros_like(ref.body_pos)
    body_vel[:, 0] = ref.root_vel + noise(ref.root_vel)
    body_ang_vel[:, 0] = ref.root_ang_vel + noise(ref.root_ang_vel)
    return BodyState(
        body_pos=body_pos,
        body_rot=body_rot,
        body_vel=body_vel,
        body_ang_vel=body_ang_vel,
        joint_rot=joint_rot,
        dof_vel=ref.dof_vel + noise(ref.dof_vel),
        contact_force=torch.zeros_like(ref.body_pos),
        ground_force=torch.zeros_like(ref.body_pos),
        finite=torch.ones(len(body_pos), dtype=torch.bool),
    )
