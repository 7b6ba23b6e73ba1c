"""Motion as the network sees it: one vector per frame, in the heading frame of a window's reference frame.

Layout for B bodies, J joints and D scalar coordinates: root position 3, root rotation 3 (exponential map), positions of
the bodies below the root 3 (B - 1), their velocities where they are wanted 3 (B - 1), joints D (scalar coordinates),
contact labels B; 91 numbers for the humanoid. In another rotation form every rotation, root and joints, has the numbers
of that form (`parc_mdm.representations`).

Heights count from the reference root, or from the ground under it; the height patch counts from the same place.

Source: `parc_motion.published`. With heights from the ground, its training and its generation subtract different
heights; here both go through one anchor. Its velocity component cannot be
computed there; here velocities are differences of the positions within the window.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import attrs
import torch
from torch import Tensor

from parc_mdm.config import FPS, NUM_HISTORY
from parc_mdm.representations import FORMS, rotation_numbers, rotation_of
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton

__all__ = [
    "FPS",
    "NUM_HISTORY",
    "REFERENCE",
    "Anchor",
    "FeatureLayout",
    "Frames",
    "decode",
    "encode",
    "project",
]

REFERENCE = 1  # the frame of a window that its coordinates are relative to: the last of its history


@attrs.frozen(kw_only=True, eq=False)
class Frames:
    """Poses of one character, any leading axes."""

    root_pos: Tensor  # [..., 3] m
    root_rot: Tensor  # [..., 4]
    joint_rot: Tensor  # [..., J, 4]
    contacts: Tensor  # [..., B] 0..1

    def __getitem__(self, index: Any) -> Frames:
        """The frames at an index into the leading axes."""
        return Frames(**{name: value[index] for name, value in _items(self)})

    @staticmethod
    def cat(parts: list[Frames], dim: int) -> Frames:
        """The frames of all parts, one after the other along a leading axis."""
        return Frames(
            **{f.name: torch.cat([getattr(p, f.name) for p in parts], dim) for f in attrs.fields(Frames)}
        )


@attrs.frozen(kw_only=True, eq=False)
class Anchor:
    """The frame that a window is relative to: a place and a heading in the world."""

    origin: Tensor  # [N, 3] m
    heading: Tensor  # [N] rad

    @staticmethod
    def of(root_pos: Tensor, root_rot: Tensor) -> Anchor:
        """The anchor of reference roots ``[N, 3]`` m, ``[N, 4]``."""
        return Anchor(origin=root_pos, heading=rot.heading(root_rot))

    def on_floor(self, floor: Tensor) -> Anchor:
        """The same place and heading, with its height zero at the floor ``[N]`` m."""
        return Anchor(origin=torch.cat([self.origin[:, :2], floor[:, None]], dim=-1), heading=self.heading)

    @cached_property
    def _yaw(self) -> Tensor:
        return rot.yaw_quat(self.heading)

    def to_local(self, pos: Tensor) -> Tensor:
        """World positions ``[N, ..., 3]`` seen from the anchor, m."""
        return rot.rotate_inverse(self._like(self._yaw, pos), pos - self._like(self.origin, pos))

    def to_world(self, pos: Tensor) -> Tensor:
        """Positions seen from the anchor, in the world: ``[N, ..., 3]`` m."""
        return rot.rotate(self._like(self._yaw, pos), pos) + self._like(self.origin, pos)

    def turn_to_local(self, q: Tensor) -> Tensor:
        """World rotations ``[N, ..., 4]`` seen from the anchor."""
        return rot.multiply(rot.inverse(self._like(self._yaw, q)), q)

    def turn_to_world(self, q: Tensor) -> Tensor:
        """Rotations seen from the anchor, in the world: ``[N, ..., 4]``."""
        return rot.multiply(self._like(self._yaw, q), q)

    def frames_to_world(self, frames: Frames) -> Frames:
        """Poses seen from the anchor, in the world."""
        return attrs.evolve(
            frames, root_pos=self.to_world(frames.root_pos), root_rot=self.turn_to_world(frames.root_rot)
        )

    def frames_to_local(self, frames: Frames) -> Frames:
        """World poses seen from the anchor."""
        return attrs.evolve(
            frames, root_pos=self.to_local(frames.root_pos), root_rot=self.turn_to_local(frames.root_rot)
        )

    @staticmethod
    def _like(own: Tensor, other: Tensor) -> Tensor:
        return own.reshape(len(own), *[1] * (other.ndim - 2), own.shape[-1])


@attrs.frozen
class FeatureLayout:
    """Places of the parts in a feature vector, and how rotations become numbers in it."""

    num_bodies: int
    num_dofs: int
    num_joints: int
    rotation: str = (
        "default"  # exponential map of the root and scalar joint coordinates, or a form of `FORMS`
    )
    velocities: bool = False  # of the bodies below the root
    from_floor: bool = False  # heights count from the ground under the reference root, not from the root

    @staticmethod
    def of(
        skeleton: Skeleton, rotation: str = "default", *, velocities: bool = False, from_floor: bool = False
    ) -> FeatureLayout:
        """The layout for a character."""
        return FeatureLayout(
            skeleton.num_bodies, skeleton.num_dofs, skeleton.num_joints, rotation, velocities, from_floor
        )

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """Lengths of root position, root rotation, body positions, body velocities, joints, contacts."""
        bodies = 3 * (self.num_bodies - 1)
        root, joints = 3, self.num_dofs
        if self.rotation != "default":
            root, joints = FORMS[self.rotation], FORMS[self.rotation] * self.num_joints
        return 3, root, bodies, bodies * self.velocities, joints, self.num_bodies

    @property
    def width(self) -> int:
        """Length of a feature vector."""
        return sum(self.sizes)

    @property
    def contacts(self) -> slice:
        """Place of the contact labels."""
        return slice(self.width - self.num_bodies, self.width)

    def root_numbers(self, root_rot: Tensor) -> Tensor:
        """Root rotations ``[..., 4]`` as features."""
        return rotation_numbers(root_rot, "expmap" if self.rotation == "default" else self.rotation)

    def root_rot(self, numbers: Tensor) -> Tensor:
        """Root rotations ``[..., 4]`` of features."""
        return rotation_of(numbers, "expmap" if self.rotation == "default" else self.rotation)

    def joint_numbers(self, dof: Tensor, joint_rot: Tensor) -> Tensor:
        """Joints as features, from their coordinates ``[..., D]`` or their rotations ``[..., J, 4]``."""
        if self.rotation == "default":
            return dof
        return rotation_numbers(joint_rot, self.rotation).flatten(-2)

    def joint_rot(self, kin: Kinematics, numbers: Tensor) -> Tensor:
        """Joint rotations ``[..., J, 4]`` of features; a hinge's may leave its axis, see `decode`."""
        if self.rotation == "default":
            return kin.dof_to_joint_rot(numbers)
        return rotation_of(numbers.unflatten(-1, (self.num_joints, -1)), self.rotation)

    def pack(
        self,
        root_pos: Tensor,
        root_numbers: Tensor,
        body_pos: Tensor,
        joint_numbers: Tensor,
        contacts: Tensor,
    ) -> Tensor:
        """Feature vectors ``[..., S, D]``; `body_pos` ``[..., S, B, 3]`` holds all bodies, the root included."""
        bodies = body_pos[..., 1:, :].flatten(-2)
        parts = [root_pos, root_numbers, bodies, joint_numbers, contacts]
        if self.velocities:
            steps = FPS * bodies.diff(dim=-2)
            parts.insert(
                3, torch.cat([steps[..., :1, :], steps], dim=-2)
            )  # before the first frame nothing is known
        return torch.cat(parts, dim=-1)

    def split(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Root position, root numbers, body positions ``[..., B - 1, 3]``, joint numbers, contacts."""
        pos, root, bodies, _, joints, contacts = features.split(self.sizes, dim=-1)
        return pos, root, bodies.unflatten(-1, (-1, 3)), joints, contacts

    def body_velocities(self, features: Tensor) -> Tensor:
        """The velocities among the features, ``[..., B - 1, 3]`` m/s; none where the layout has none."""
        return features.split(self.sizes, dim=-1)[3].unflatten(-1, (-1, 3))


def encode(kin: Kinematics, layout: FeatureLayout, frames: Frames) -> Tensor:
    """Feature vectors ``[..., D]`` of poses that are relative to their window's reference frame."""
    body_pos, _ = kin.forward(frames.root_pos, frames.root_rot, frames.joint_rot)
    joints = layout.joint_numbers(kin.joint_rot_to_dof(frames.joint_rot), frames.joint_rot)
    return layout.pack(
        frames.root_pos, layout.root_numbers(frames.root_rot), body_pos, joints, frames.contacts
    )


def decode(kin: Kinematics, layout: FeatureLayout, features: Tensor) -> Frames:
    """Poses of feature vectors; stored body positions and velocities are not used, contacts are cut to 0..1.

    A hinge turns about its axis only, whatever the features say.
    """
    pos, root, _, joints, contacts = layout.split(features)
    return Frames(
        root_pos=pos,
        root_rot=layout.root_rot(root),
        joint_rot=_possible(kin, layout, layout.joint_rot(kin, joints)),
        contacts=contacts.clamp(0.0, 1.0),
    )


def project(kin: Kinematics, layout: FeatureLayout, features: Tensor) -> Tensor:
    """The nearest features of real poses: body positions that follow from rotations, contacts in 0..1."""
    pos, root, _, joints, contacts = layout.split(features)
    root_rot = layout.root_rot(root)
    joint_rot = _possible(kin, layout, layout.joint_rot(kin, joints))
    body_pos, _ = kin.forward(pos, root_rot, joint_rot)
    if layout.rotation != "default":
        root, joints = layout.root_numbers(root_rot), layout.joint_numbers(joints, joint_rot)
    return layout.pack(pos, root, body_pos, joints, contacts.clamp(0.0, 1.0))


def _possible(kin: Kinematics, layout: FeatureLayout, joint_rot: Tensor) -> Tensor:
    """The rotations that the joints can make; scalar coordinates give no others."""
    return (
        joint_rot if layout.rotation == "default" else kin.dof_to_joint_rot(kin.joint_rot_to_dof(joint_rot))
    )


def _items(frames: Frames) -> list[tuple[str, Tensor]]:
    return [(field.name, getattr(frames, field.name)) for field in attrs.fields(Frames)]
