"""One stored sequence of motion, with the ground under it and where it came from."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import numpy as np

from parc_motion.checks import (
    MAX_BODIES,
    MAX_FRAMES,
    as_float32,
    as_int64_or_none,
    as_strings,
    check_finite,
    check_frame_rate,
    check_name,
    check_near,
    check_shape,
    check_unit_quaternions,
)
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.terrains import Path, Terrain

__all__ = ["MotionClip", "Provenance"]


@attrs.frozen(kw_only=True)
class Provenance:
    """Where a clip came from; enough to reproduce it. Holds no wall time, so that equal runs give equal files."""

    stage: str = ""  # dataset | kin_gen | phys_record | ...
    provider: str = ""  # e.g. "mdm" or "retry"
    seed: int | None = None
    parents: tuple[str, ...] = attrs.field(
        default=(), converter=as_strings
    )  # digests of the clips it was made from
    scores: dict[str, float] = attrs.field(factory=dict)
    notes: dict[str, Any] = attrs.field(factory=dict)  # JSON values only


@attrs.frozen(kw_only=True, eq=False)
class MotionClip:
    """Root and joint rotations of one character over time, contact labels, and the terrain that it moves on.

    World frame, meters, z up, quaternions xyzw. `joint_rot[t, j]` rotates body j + 1 in the frame of its parent.
    """

    name: str
    root_pos: np.ndarray = attrs.field(converter=as_float32)  # [T, 3] m
    root_rot: np.ndarray = attrs.field(converter=as_float32)  # [T, 4] xyzw
    joint_rot: np.ndarray = attrs.field(converter=as_float32)  # [T, J, 4] xyzw
    contacts: np.ndarray = attrs.field(converter=as_float32)  # [T, B] 0..1
    fps: float = attrs.field(converter=float)  # frames per second
    loop: Literal["clamp", "wrap"] = attrs.field(
        default="clamp", validator=attrs.validators.in_(("clamp", "wrap"))
    )
    skeleton: str = "humanoid"  # id of the character
    motion_class: str = ""  # for class-balanced weights; "" means unclassified
    terrain: Terrain | None = None
    # cells touched per frame: rows (frame, i, j), sorted by frame; None if they were not computed
    touched: np.ndarray | None = attrs.field(default=None, converter=as_int64_or_none)
    path: Path | None = None
    provenance: Provenance = attrs.field(factory=Provenance)

    def __attrs_post_init__(self) -> None:
        check_name(self.name, "the clip's name")
        name, frames = f"clip '{self.name}'", self.num_frames
        if self.motion_class != "":
            check_name(self.motion_class, f"{name}: its class")
        check_shape(self.root_pos, (None, 3), f"{name}: root_pos")
        if frames < 1:
            raise DataError(f"{name} has no frames.")
        if frames > MAX_FRAMES:
            raise DataError(f"{name} has {frames} frames; at most {MAX_FRAMES} are allowed.")
        check_shape(self.root_rot, (frames, 4), f"{name}: root_rot")
        check_shape(self.joint_rot, (frames, None, 4), f"{name}: joint_rot")
        check_shape(self.contacts, (frames, self.joint_rot.shape[1] + 1), f"{name}: contacts")
        if self.joint_rot.shape[1] >= MAX_BODIES:
            raise DataError(
                f"{name} has {self.joint_rot.shape[1]} joints; at most {MAX_BODIES - 1} are allowed."
            )
        check_near(self.root_pos, f"{name}: root_pos")
        for field in ("root_rot", "joint_rot", "contacts"):
            check_finite(getattr(self, field), f"{name}: {field}")
        check_unit_quaternions(self.root_rot, f"{name}: root_rot")
        check_unit_quaternions(self.joint_rot, f"{name}: joint_rot")
        check_frame_rate(self.fps, f"{name}: fps")
        if self.touched is not None:
            check_shape(self.touched, (None, 3), f"{name}: touched")

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.root_pos)

    @property
    def length(self) -> float:
        """Time from the first to the last frame, s."""
        return (self.num_frames - 1) / self.fps

    def require_skeleton(self, skeleton_id: str, num_joints: int) -> None:
        """Passes if the clip belongs to that character.

        Raises:
            SkeletonMismatch: another id or another number of joints.
        """
        if self.skeleton != skeleton_id or self.joint_rot.shape[1] != num_joints:
            raise SkeletonMismatch(
                f"clip '{self.name}' was made for character '{self.skeleton}' with {self.joint_rot.shape[1]} joints; "
                f"this run uses '{skeleton_id}' with {num_joints}. Retarget it, or set `character`."
            )

    def frames(self, first: int, stop: int, name: str | None = None) -> MotionClip:
        """The clip's frames first..stop-1 on the same terrain."""
        if not 0 <= first < stop <= self.num_frames:
            raise DataError(
                f"clip '{self.name}' has frames 0..{self.num_frames - 1}; {first}..{stop - 1} is not inside."
            )
        touched = self.touched
        if touched is not None:
            touched = touched[(touched[:, 0] >= first) & (touched[:, 0] < stop)] - np.array([first, 0, 0])
        return attrs.evolve(
            self,
            name=name or self.name,
            root_pos=self.root_pos[first:stop],
            root_rot=self.root_rot[first:stop],
            joint_rot=self.joint_rot[first:stop],
            contacts=self.contacts[first:stop],
            touched=touched,
        )
