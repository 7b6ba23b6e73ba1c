"""Settings of spatial augmentation."""

from __future__ import annotations

import itertools
from typing import ClassVar, Literal

import attrs

from parc_core.config import setting
from parc_data.tools.findings import ValidateConfig

__all__ = ["TERRAIN_CHANGES", "AugmentConfig", "GateConfig"]

TERRAIN_CHANGES = ("none", "height_scale", "boxes")
Range = tuple[float, float]


@attrs.frozen(kw_only=True)
class GateConfig(ValidateConfig):
    """When a variation is good enough: what `parc data validate` looks for, and how far it may leave its draw.

    A fault that the source clip has itself may be as large in its variations.
    """

    max_root_deviation: float = setting(
        0.3, gt=0, unit="m", help="how far the optimizer may move the root from where it was put"
    )
    max_pose_deviation: float = setting(
        0.3, gt=0, unit="rad", help="mean over the joints of how far it may turn them, in any frame"
    )
    min_contact_share: float = setting(
        0.6, ge=0, le=1, help="share of the frames in which a foot or hand stood that have to remain"
    )
    min_frames_share: float = setting(
        0.75, gt=0, le=1, help="share of the frames that has to remain after hesitations are cut"
    )
    min_footing: float = setting(
        0.6, ge=0, le=1, help="share of each standing foot under which the ground has to have its height"
    )


@attrs.frozen(kw_only=True)
class AugmentConfig:
    """How variations are drawn, and which are kept.

    Source:
        Published augmentation of the initial data: heading, scales of x and y, scale of the heights or boxes along the
        path, then optimization. Ranges are ours; there they come from a file that was not published.
    """

    crop_length: float = setting(
        0.0, ge=0, unit="s", help="longer clips are cut to a part that begins anywhere; 0: never"
    )
    heading: Range = setting((-180.0, 180.0), ge=-360, le=360, unit="deg", help="turn about the vertical")
    scale_x: Range = setting((0.85, 1.15), gt=0.1, le=5, help="stretch of path and ground along x")
    scale_y: Range = setting((0.85, 1.15), gt=0.1, le=5, help="stretch of path and ground along y")
    RENAMED: ClassVar[dict[str, str]] = {"centre": "center"}

    center: Literal["start", "origin"] = setting(
        "start",
        choices=("start", "origin"),
        help="turned and stretched about it; with start the motion begins at x = y = 0 over ground at 0",
    )
    padding: float = setting(1.6, ge=0, le=50, unit="m", help="ground around the way of the root")
    terrain: tuple[str, ...] = setting(
        TERRAIN_CHANGES, help=f"changes of the ground, one is drawn: {', '.join(TERRAIN_CHANGES)}"
    )
    height_scale: Range = setting(
        (0.75, 1.25), ge=0, le=5, help="stretch of the heights, from the start's on"
    )
    bad_heights: tuple[Range, ...] = setting(
        (), unit="m", help="heights over the start that no changed cell may get; others are drawn then"
    )
    num_boxes: tuple[int, int] = setting((1, 3), ge=1, le=100, help="boxes along the path, fewest and most")
    box_side: Range = setting((0.8, 2.4), gt=0, le=50, unit="m", help="sides of a box")
    box_height: Range = setting((0.08, 0.3), ge=-5, le=5, unit="m", help="how far a box raises the ground")
    tries: int = setting(
        4, ge=1, le=100, help="draws that are optimized for one variation, until one is good enough"
    )
    batch: int = setting(10, ge=1, le=1000, help="variations that are optimized together and saved at once")
    gate: GateConfig = setting(factory=GateConfig, help="when a variation is good enough")

    def __attrs_post_init__(self) -> None:
        named = ("heading", "scale_x", "scale_y", "height_scale", "num_boxes", "box_side", "box_height")
        ranges = [(name, getattr(self, name)) for name in named]
        ranges += [("bad_heights", pair) for pair in self.bad_heights]
        for name, (low, high) in ranges:
            if not low <= high:
                raise ValueError(
                    f"{name}: {low:g} to {high:g} is no range, expected the smaller number first"
                )
        unknown = [name for name in self.terrain if name not in TERRAIN_CHANGES]
        if unknown or not self.terrain:
            raise ValueError(f"terrain: {list(self.terrain)}, expected some of {', '.join(TERRAIN_CHANGES)}")
        for one, other in itertools.combinations(sorted(self.terrain), 2):
            if one == other:
                raise ValueError(f"terrain: '{one}' is named twice")
