"""A sheet of terrains seen from above with the ways of all motions, and one motion of each seen from the side."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from parc_mdm.evaluate.measure import NEAR, Shown
from parc_motion.draw import (
    BACKGROUND,
    INK,
    Color,
    HeightScale,
    View,
    draw_pose,
    draw_terrain,
    font,
    heading_of,
    posed,
)
from parc_motion.skeletons import Skeleton

__all__ = ["ARRIVED", "ASTRAY", "draw_sheet"]

ARRIVED, ASTRAY = (30, 100, 190), (200, 120, 30)  # told apart without red and green
_SIDE, _TEXT, _BELOW, _GAP = (
    400,
    20,
    150,
    14,
)  # pixels: view from above, line of text, view from the side, space
_COLUMNS, _POSES = 4, 4
_TALL = 2.3  # m, height of what a pose's picture shows


def draw_sheet(shown: list[Shown], skeleton: Skeleton) -> Image.Image:
    """Tiles in rows: blue ways end near the path's end, orange ones do not; below, the motion that ends nearest."""
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    step = (_SIDE + _GAP, _SIDE + _TEXT + _BELOW + _GAP)
    sheet = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    scale = HeightScale.of(item.terrain.height for item in shown)
    for k, item in enumerate(shown):
        x, y = _GAP + (k % columns) * step[0], _GAP + (k // columns) * step[1]
        ways = [(clip.root_pos[:, :2], _color(away)) for clip, away in zip(item.clips, item.distances)]
        sheet.paste(draw_terrain(item.terrain, scale, _SIDE, item.path, ways), (x, y + _TEXT))
        arrive = float(np.mean(np.array(item.distances) <= NEAR))
        draw.text((x, y), f"{arrive:.0%} arrive", fill=INK, font=font(13))
        sheet.paste(_from_the_side(item, skeleton), (x, y + _TEXT + _SIDE))
    return sheet


def _color(away: float) -> Color:
    return ARRIVED if away <= NEAR else ASTRAY


def _from_the_side(item: Shown, skeleton: Skeleton) -> Image.Image:
    """Poses of the motion that ends nearest, evenly spread over its time."""
    clip = item.clips[int(np.argmin(item.distances))]
    poses, heading = posed(clip, skeleton), heading_of(clip)
    picture = Image.new("RGB", (_SIDE, _BELOW), BACKGROUND)
    width = _SIDE // _POSES
    for k, frame in enumerate(np.linspace(0, clip.num_frames - 1, _POSES).round().astype(int)):
        center = clip.root_pos[frame].astype(np.float64) - (0.0, 0.0, 0.12)
        view = View(center=center, heading=heading, scale=_BELOW / _TALL, width=width, height=_BELOW)
        picture.paste(draw_pose(poses, int(frame), skeleton, view), (k * width, 0))
    return picture
