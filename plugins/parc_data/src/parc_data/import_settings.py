"""How files of other formats become clips."""

from __future__ import annotations

from typing import Literal

import attrs

from parc_core.config import setting

__all__ = ["ContactConfig", "ImportSettings"]


@attrs.frozen(kw_only=True)
class ContactConfig:
    """When a body counts as touching the ground.

    The default speeds are those of standing: a labeled point moves less than 1 cm per frame at 30 frames per second.
    Higher limits (0.6 and 1.2 m/s) also find the frames in which a simulated foot has a contact force while it lands or
    slides.
    """

    near_m: float = setting(
        0.025,
        ge=1e-6,
        le=1000,
        unit="m",
        help="A contact may start when a point is closer to the ground than this.",
    )
    far_m: float = setting(
        0.04, ge=1e-6, le=1000, unit="m", help="A contact ends when all points are further from the ground."
    )
    slow: float = setting(
        0.2, ge=1e-6, le=10000, unit="m/s", help="A contact may start when a point is slower than this."
    )
    fast: float = setting(
        0.3, ge=1e-6, le=10000, unit="m/s", help="A contact ends when all points are faster than this."
    )
    gap_s: float = setting(
        0.07, ge=0, le=10000, unit="s", help="Gaps between contacts up to this duration are closed."
    )
    least_s: float = setting(
        0.07, ge=0, le=10000, unit="s", help="Contacts that are shorter than this are dropped."
    )

    def __attrs_post_init__(self) -> None:
        if self.near_m > self.far_m or self.slow > self.fast:
            raise ValueError(
                f"near_m {self.near_m} and slow {self.slow} start a contact, far_m {self.far_m} and fast {self.fast} "
                "end it: the first of each pair has to be the smaller one"
            )


@attrs.frozen(kw_only=True)
class ImportSettings:
    """How files become clips; what is left out is inferred from the file."""

    fps: float = setting(30.0, ge=0.1, le=1000.0, unit="1/s", help="Frame rate of the clips.")
    scale: float | None = setting(
        None,
        ge=1e-6,
        le=1000,
        unit="m",
        help="Meters per unit of the file; inferred from the bone lengths if left out.",
    )
    up: Literal["auto", "x", "y", "z"] = setting("auto", help="Axis of the file that points up.")
    source_fps: float | None = setting(
        None, ge=0.1, le=10_000.0, unit="1/s", help="Frame rate of files that do not state it."
    )
    rest_frame: Literal["auto", "keep", "drop"] = setting(
        "auto",
        help="Whether to keep a first frame that is a T-pose; auto drops it if the motion jumps away from it.",
    )
    retarget: Literal["auto", "copy", "ik"] = setting(
        "auto", help="Copy rotations joint by joint if the skeletons agree, otherwise use inverse kinematics."
    )
    terrain: Literal["auto", "flat", "boxes"] = setting(
        "auto", help="Terrain for motions that come without: flat, boxes, or whichever fits."
    )
    contacts: ContactConfig = setting(
        factory=ContactConfig, help="When a body touches the ground, for files without contact labels."
    )
