"""Motion as the network sees it: one vector per frame, in the heading frame of a window's reference frame.

Layout for B bodies and D scalar coordinates: root position 3, root exponential map 3, positions of the bodies below
the root 3 (B - 1), scalar joint coordinates D, contact labels B; 91 numbers for the humanoid.

Source: published PARC implementation (default rotation type, heights relative to the reference root).
"""

from __future__ import annotations

from functools import cached_property

import attrs
import torch
from torch import Tensor

from parc_core.data.skeleton import Skeleton
from parc_core.kinematics import rotations as rot
from parc_core.kinematics.forward import Kinematics

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

FPS = 30.0  # frames per second of every window
NUM_HISTORY = 2  # frames at the start of a window that are given when a motion is continued
REFERENCE = 1  # the frame of a window that its coordinates are relative to: the last of its history


@attrs.frozen(kw_only=True, eq=False)
class Frames:
    """Poses of one character, any leading axes."""

    root_pos: Tensor  # [..., 3] m
    root_rot: Tensor  # [..., 4]
    joint_rot: Tensor  # [..., J, 4]
    contacts: Tensor  # [..., B] 0..1

    def __getitem__(self, index: object) -> Frames:
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
    """Places of the parts in a feature vector."""

    num_bodies: int
    num_dofs: int

    @staticmethod
    def of(skeleton: Skeleton) -> FeatureLayout:
        """The layout for a character."""
        return FeatureLayout(skeleton.num_bodies, skeleton.num_dofs)

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """Lengths of root position, root rotation, body positions, joint coordinates, contacts."""
        return 3, 3, 3 * (self.num_bodies - 1), self.num_dofs, self.num_bodies

    @property
    def width(self) -> int:
        """Length of a feature vector."""
        return sum(self.sizes)

    @property
    def contacts(self) -> slice:
        """Place of the contact labels."""
        return slice(self.width - self.num_bodies, self.width)

    def pack(
        self, root_pos: Tensor, root_expmap: Tensor, body_pos: Tensor, dof: Tensor, contacts: Tensor
    ) -> Tensor:
        """Feature vectors ``[..., D]``; `body_pos` ``[..., B, 3]`` holds all bodies, the root included."""
        return torch.cat([root_pos, root_expmap, body_pos[..., 1:, :].flatten(-2), dof, contacts], dim=-1)

    def split(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Root position, root exponential map, body positions ``[..., B - 1, 3]``, joint coordinates, contacts."""
        pos, expmap, bodies, dof, contacts = features.split(self.sizes, dim=-1)
        return pos, expmap, bodies.unflatten(-1, (-1, 3)), dof, contacts


def encode(kin: Kinematics, layout: FeatureLayout, frames: Frames) -> Tensor:
    """Feature vectors ``[..., D]`` of poses that are relative to their window's reference frame."""
    body_pos, _ = kin.forward(frames.root_pos, frames.root_rot, frames.joint_rot)
    expmap, dof = rot.quat_to_expmap(frames.root_rot), kin.joint_rot_to_dof(frames.joint_rot)
    return layout.pack(frames.root_pos, expmap, body_pos, dof, frames.contacts)


def decode(kin: Kinematics, layout: FeatureLayout, features: Tensor) -> Frames:
    """Poses of feature vectors; the stored body positions are not used, contacts are cut to 0..1."""
    pos, expmap, _, dof, contacts = layout.split(features)
    return Frames(
        root_pos=pos,
        root_rot=rot.expmap_to_quat(expmap),
        joint_rot=kin.dof_to_joint_rot(dof),
        contacts=contacts.clamp(0.0, 1.0),
    )


def project(kin: Kinematics, layout: FeatureLayout, features: Tensor) -> Tensor:
    """The features with body positions that follow from their rotations, and contacts in 0..1."""
    pos, expmap, _, dof, contacts = layout.split(features)
    body_pos, _ = kin.forward(pos, rot.expmap_to_quat(expmap), kin.dof_to_joint_rot(dof))
    return layout.pack(pos, expmap, body_pos, dof, contacts.clamp(0.0, 1.0))


def _items(frames: Frames) -> list[tuple[str, Tensor]]:
    return [(field.name, getattr(frames, field.name)) for field in attrs.fields(Frames)]
