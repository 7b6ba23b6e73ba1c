"""Poses of one clip, as it was generated above as it was refined."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from parc_kinopt.report.chart import AFTER, BEFORE
from parc_kinopt.report.rows import Row
from parc_motion.clips import MotionClip, load_clip
from parc_motion.draw import (
    BACKGROUND,
    BURIED,
    HELD,
    INK,
    LINE,
    PALE,
    View,
    draw_pose,
    font,
    heading_of,
    posed,
)
from parc_motion.skeletons import Skeleton

__all__ = ["draw_strip"]

_GAP, _HEAD, _FOOT, _TALL = 6, 44, 18, 2.3  # pixels; height of what a picture shows, m


def draw_strip(row: Row, skeleton: Skeleton, count: int, width: int) -> Image.Image:
    """The clip at `count` moments; a sentence where one of its files is missing.

    Raises:
        CorruptArtifact, SkeletonMismatch: a file cannot be used.
    """
    missing = [file for file in (row.raw, row.refined) if not file.is_file()]
    if missing:
        picture = Image.new("RGB", (width, 40), BACKGROUND)
        text = f"{row.name} cannot be drawn: {missing[0].name} is not there any more"
        ImageDraw.Draw(picture).text((0, 8), text, fill=PALE, font=font(14))
        return picture
    pair = [(load_clip(row.raw), "before", BEFORE), (load_clip(row.refined), "after", AFTER)]
    for clip, _, _ in pair:
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
    size = (width - _GAP * (count - 1)) // count
    tall = round(1.35 * size)
    picture = Image.new("RGB", (width, _HEAD + 2 * (tall + _FOOT + _GAP)), BACKGROUND)
    _head(ImageDraw.Draw(picture), row)
    moments = _moments(pair[0][0], pair[1][0], row.removed_frames, count)
    heading = heading_of(pair[1][0])
    for line, (clip, text, color) in enumerate(pair):
        poses, top = posed(clip, skeleton), _HEAD + line * (tall + _FOOT + _GAP)
        for k, frames in enumerate(moments):
            frame, left = frames[line], k * (size + _GAP)
            # both rows look at the same place, in the middle between where the two are
            center = 0.5 * sum(c.root_pos[f].astype(np.float64) for (c, _, _), f in zip(pair, frames))
            center[2] -= 0.12
            view = View(center=center, heading=heading, scale=tall / _TALL, width=size, height=tall)
            picture.paste(draw_pose(poses, frame, skeleton, view), (left, top))
            draw = ImageDraw.Draw(picture)
            draw.rectangle([left, top, left + size - 1, top + tall - 1], outline=LINE)
            draw.text((left + 2, top + tall + 2), f"{text} {frame}", fill=color, font=font(12))
    return picture


def _head(draw: ImageDraw.ImageDraw, row: Row) -> None:
    draw.text((0, 0), f"{row.name}, the worst clip", fill=INK, font=font(16))
    x = 0.0
    for text, color in (("labeled as in contact", HELD), ("points inside the ground", BURIED)):
        draw.ellipse([x, 25, x + 10, 35], fill=color)
        draw.text((x + 16, 22), text, fill=INK, font=font(13))
        x += 36 + font(13).getlength(text)


def _moments(
    raw: MotionClip, refined: MotionClip, removed: tuple[int, ...], count: int
) -> list[tuple[int, int]]:
    """Frames of both clips that belong together, evenly spread over the refined one."""
    kept = np.setdiff1d(np.arange(raw.num_frames), np.array(removed, dtype=int))
    chosen = np.linspace(0, refined.num_frames - 1, count).round().astype(int)
    return [(int(kept[min(frame, len(kept) - 1)]), int(frame)) for frame in chosen]
