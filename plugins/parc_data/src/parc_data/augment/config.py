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
    """When a variation is kept: the limits of `parc data validate`, and how far the optimizer may change it.

    A fault that the source clip has itself may be as large in its variations.
    """

    max_root_deviation: float = setting(
        0.3, ge=1e-6, le=1e6, unit="m", help="How far the optimizer may move the root."
    )
    max_pose_deviation: float = setting(
        0.3,
        ge=1e-6,
        le=1000,
        unit="rad",
        help="How far the optimizer may rotate the joints: mean over the joints, in every frame.",
    )
    min_contact_share: float = setting(
        0.6, ge=0, le=1, help="Share of the contact labels of feet and hands that has to remain."
    )
    min_frames_share: float = setting(
        0.75,
        ge=1e-9,
        le=1,
        help="Share of the frames that has to remain after the optimizer removed hesitations.",
    )
    min_footing: float = setting(
        0.6, ge=0, le=1, help="Share of each foot in contact that needs ground of the right height below it."
    )


@attrs.frozen(kw_only=True)
class AugmentConfig:
    """How variations are sampled, and which are kept.

    Source:
        Augmentation of the initial data in the published system (`parc_motion.published`): heading, scales of x and y,
        scale of the heights or boxes along the path, then optimization. Its ranges were not published; these are new.
    """

    RENAMED: ClassVar[dict[str, str]] = {"centre": "center"}

    crop_length: float = setting(
        0.0,
        ge=0,
        le=10000,
        unit="s",
        help="Longer clips are cropped to this length at a random start; 0 never crops.",
    )
    heading: Range = setting(
        (-180.0, 180.0), ge=-360, le=360, unit="deg", help="Range of the rotation about the vertical axis."
    )
    scale_x: Range = setting(
        (0.85, 1.15), gt=0.1, le=5, help="Range of the scale factor of motion and terrain along x."
    )
    scale_y: Range = setting(
        (0.85, 1.15), gt=0.1, le=5, help="Range of the scale factor of motion and terrain along y."
    )
    center: Literal["start", "origin"] = setting(
        "start",
        choices=("start", "origin"),
        help="Center of rotation and scaling. With start, the motion then begins at x = y = 0 on ground at height 0.",
    )
    padding: float = setting(
        1.6, ge=0, le=50, unit="m", help="Width of the terrain around the path of the root."
    )
    terrain: tuple[str, ...] = setting(
        TERRAIN_CHANGES,
        help=f"Changes of the terrain, of which each variation samples one: {', '.join(TERRAIN_CHANGES)}.",
    )
    height_scale: Range = setting(
        (0.75, 1.25),
        ge=0,
        le=5,
        help="Range of the scale factor of heights relative to the ground at the start.",
    )
    bad_heights: tuple[Range, ...] = setting(
        (),
        ge=-1000,
        le=1000,
        unit="m",
        help="Ranges of heights relative to the ground at the start that no changed cell may have.",
    )
    num_boxes: tuple[int, int] = setting(
        (1, 3), ge=1, le=100, help="Range of the number of boxes along the path."
    )
    box_side: Range = setting((0.8, 2.4), gt=0, le=50, unit="m", help="Range of the side lengths of a box.")
    box_height: Range = setting(
        (0.08, 0.3), ge=-5, le=5, unit="m", help="Range of the height by which a box raises the terrain."
    )
    tries: int = setting(
        4,
        ge=1,
        le=100,
        help="How many samples are optimized for one variation until one passes the quality checks.",
    )
    batch: int = setting(10, ge=1, le=1000, help="How many variations are optimized and saved together.")
    gate: GateConfig = setting(factory=GateConfig, help="Quality checks of the optimized variations.")

    def __attrs_post_init__(self) -> None:
        named = ("heading", "scale_x", "scale_y", "height_scale", "num_boxes", "box_side", "box_height")
        ranges = [(name, getattr(self, name)) for name in named]
        ranges += [("bad_heights", pair) for pair in self.bad_heights]
        for name, (low, high) in ranges:
            if not low <= high:
                raise ValueError(
                    f"{name}: {low:g} to {high:g} is not a range; expected the smaller number first"
                )
        unknown = [name for name in self.terrain if name not in TERRAIN_CHANGES]
        if unknown or not self.terrain:
            raise ValueError(f"terrain: {list(self.terrain)}, expected some of {', '.join(TERRAIN_CHANGES)}")
        for one, other in itertools.combinations(sorted(self.terrain), 2):
            if one == other:
                raise ValueError(f"terrain: '{one}' is named twice")
