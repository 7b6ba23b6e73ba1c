"""A motion on the skeleton of its file, converted to meters, seconds and z up.

Readers return a `SourceMotion`; resampling, retargeting, contact labeling and terrain fitting turn it into a
`MotionClip`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import attrs
import numpy as np
import torch

from parc_motion.checks import (
    as_ints,
    as_strings,
    check_finite,
    check_frame_rate,
    check_shape,
    check_unit_quaternions,
)
from parc_motion.errors import DataError
from parc_motion.kinematics import forward_kinematics
from parc_motion.terrains import Path, Terrain

__all__ = ["SourceMotion", "up_to_z"]


def _float64(value: object) -> np.ndarray:
    array = np.array(value, dtype=np.float64)
    array.setflags(write=False)
    return array


def _optional_float64(value: object) -> np.ndarray | None:
    return None if value is None else _float64(value)


@attrs.frozen(kw_only=True, eq=False)
class SourceMotion:
    """One motion of any skeleton; world frame, meters, z up, quaternions xyzw, float64.

    A skeletal motion has `local_rot` and `offsets`; one of captured positions has `marker_pos` instead. Body 0 is the
    root. With every local rotation the identity the skeleton stands in its rest pose, each body at the sum of the
    offsets down to it.
    """

    name: str
    format: str  # name of the format that it was read from
    fps: float = attrs.field(converter=float)
    body_names: tuple[str, ...] = attrs.field(converter=as_strings)  # [K]
    parents: tuple[int, ...] = attrs.field(converter=as_ints)  # [K], -1 for the root, parents first
    root_pos: np.ndarray = attrs.field(converter=_float64)  # [T, 3] m
    offsets: np.ndarray | None = attrs.field(
        converter=_optional_float64, default=None
    )  # [K, 3] m, parent frame
    local_rot: np.ndarray | None = attrs.field(
        converter=_optional_float64, default=None
    )  # [T, K, 4], root first
    # positions in the parent frame, for files that animate them; that of the root is ignored
    local_pos: np.ndarray | None = attrs.field(converter=_optional_float64, default=None)  # [T, K, 3] m
    marker_pos: np.ndarray | None = attrs.field(converter=_optional_float64, default=None)  # [T, K, 3] m
    contacts: np.ndarray | None = attrs.field(converter=_optional_float64, default=None)  # [T, K] 0..1
    loop: Literal["clamp", "wrap"] = "clamp"
    terrain: Terrain | None = None
    path: Path | None = None
    touched: np.ndarray | None = None  # [n, 3] int64 frame, i, j, as in MotionClip
    notes: dict[str, Any] = attrs.field(factory=dict)  # JSON values: what the reader found out and decided

    def __attrs_post_init__(self) -> None:
        bodies, frames = len(self.body_names), len(self.root_pos)
        if len(self.parents) != bodies or not bodies:
            raise DataError(f"motion '{self.name}' has {bodies} bodies and {len(self.parents)} parents.")
        if self.parents[0] != -1 or any(not 0 <= p < i for i, p in enumerate(self.parents) if i):
            raise DataError(
                f"motion '{self.name}': parents {list(self.parents)} do not come before their children."
            )
        check_frame_rate(self.fps, f"motion '{self.name}': fps")
        if not frames:
            raise DataError(f"motion '{self.name}' has no frame.")
        if (self.local_rot is None) == (self.marker_pos is None):
            raise DataError(f"motion '{self.name}' needs either local_rot or marker_pos.")
        if self.local_rot is not None and self.offsets is None:
            raise DataError(f"motion '{self.name}' has rotations but no offsets.")
        for field, shape in (
            ("root_pos", (frames, 3)),
            ("offsets", (bodies, 3)),
            ("local_rot", (frames, bodies, 4)),
            ("local_pos", (frames, bodies, 3)),
            ("marker_pos", (frames, bodies, 3)),
            ("contacts", (frames, bodies)),
        ):
            value = getattr(self, field)
            if value is not None:
                check_shape(value, shape, f"motion '{self.name}': {field}")
                check_finite(value, f"motion '{self.name}': {field}")
        if self.local_rot is not None:
            check_unit_quaternions(self.local_rot, f"motion '{self.name}': local_rot")

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.root_pos)

    @property
    def has_rotations(self) -> bool:
        """Whether the motion has rotations, not only positions."""
        return self.local_rot is not None

    @property
    def length(self) -> float:
        """(T - 1) / fps, s."""
        return (self.num_frames - 1) / self.fps

    def body_id(self, name: str) -> int:
        """Index of a body.

        Raises:
            DataError: no body has the name; the text lists those that exist.
        """
        if name not in self.body_names:
            raise DataError(
                f"motion '{self.name}' has no body '{name}'; it has {', '.join(self.body_names)}."
            )
        return self.body_names.index(name)

    @cached_property
    def _world(self) -> tuple[np.ndarray, np.ndarray | None]:
        if self.marker_pos is not None:
            return self.marker_pos, None
        places = self.offsets if self.local_pos is None else self.local_pos
        root_pos, local, place = (
            torch.from_numpy(np.array(a)) for a in (self.root_pos, self.local_rot, places)
        )
        pos, turn = forward_kinematics(self.parents, place, root_pos, local[:, 0], local[:, 1:])
        return pos.numpy(), turn.numpy()

    @property
    def body_pos(self) -> np.ndarray:
        """World position of every body, ``[T, K, 3]`` m."""
        return self._world[0]

    @property
    def body_rot(self) -> np.ndarray:
        """World rotation of every body from its rest pose, ``[T, K, 4]`` xyzw.

        Raises:
            DataError: the motion has positions only.
        """
        if self._world[1] is None:
            raise DataError(f"motion '{self.name}' has positions only, no rotations.")
        return self._world[1]

    @cached_property
    def rest_pos(self) -> np.ndarray:
        """Bodies of the rest pose, root in the origin, ``[K, 3]`` m.

        Raises:
            DataError: the motion has positions only.
        """
        if self.offsets is None:
            raise DataError(f"motion '{self.name}' has positions only, no rest pose.")
        pos = np.zeros((len(self.parents), 3))
        for body, parent in enumerate(self.parents[1:], start=1):
            pos[body] = pos[parent] + self.offsets[body]
        return pos

    def frames(self, first: int, stop: int) -> SourceMotion:
        """Frames first .. stop - 1.

        Raises:
            DataError: they are not inside.
        """
        if not 0 <= first < stop <= self.num_frames:
            raise DataError(
                f"motion '{self.name}' has frames 0..{self.num_frames - 1}; {first}..{stop - 1} is not inside."
            )
        names = ("root_pos", "local_rot", "local_pos", "marker_pos", "contacts")
        parts = {name: getattr(self, name) for name in names}
        touched = self.touched
        if touched is not None:
            touched = touched[(touched[:, 0] >= first) & (touched[:, 0] < stop)] - np.array([first, 0, 0])
        cut = {name: value[first:stop] for name, value in parts.items() if value is not None}
        return attrs.evolve(self, touched=touched, **cut)


def up_to_z(up: str) -> np.ndarray:
    """Rotation matrix ``[3, 3]`` from a world with this axis up to one with z up: a cyclic permutation of the axes.

    With y up, a character that faces z and has x on its left (the convention of BVH) then faces x and has y on its
    left, as PARC's characters do.
    """
    return np.roll(np.eye(3), {"x": 1, "y": 2, "z": 0}[up], axis=1).astype(np.float64)
