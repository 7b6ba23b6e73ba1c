"""A sheet of terrains seen from above with the ways of all motions, and one motion of each seen from the side."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageDraw

from parc_mdm.evaluate.measure import NEAR, Shown
from parc_motion.clips import MotionClip
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import Skeleton

__all__ = ["draw_sheet", "png_bytes"]

_SIDE, _BELOW, _GAP = 300, 130, 12  # pixels: view from above, view from the side, between tiles
_COLUMNS = 4
_PAPER, _INK, _PATH, _GROUND = (255, 255, 255), (40, 40, 40), (20, 90, 220), (150, 120, 90)
_ARRIVED, _ASTRAY = (20, 140, 60), (205, 60, 40)
_EVERY_S = 0.5  # s between the poses seen from the side


def draw_sheet(shown: list[Shown], skeleton: Skeleton) -> Image.Image:
    """Tiles in rows: green ways end near the path's end, red ones do not; blue is the path."""
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    step = (_SIDE + _GAP, _SIDE + _BELOW + 2 * _GAP)
    sheet = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), _PAPER)
    for k, item in enumerate(shown):
        corner = (_GAP + (k % columns) * step[0], _GAP + (k // columns) * step[1])
        sheet.paste(_above(item), corner)
        sheet.paste(_from_the_side(item, skeleton), (corner[0], corner[1] + _SIDE + 2))
    return sheet


def png_bytes(picture: Image.Image) -> bytes:
    """The picture as a PNG file; equal pictures give equal bytes."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _above(item: Shown) -> Image.Image:
    terrain = item.terrain
    height = terrain.height - terrain.height.min()
    gray = 245.0 - 150.0 * height / max(float(height.max()), 1.0)
    # x to the right, y up
    view = Image.fromarray(gray.T[::-1].astype(np.uint8)).convert("RGB")
    scale = _SIDE / max(view.size)
    view = view.resize((round(view.width * scale), round(view.height * scale)), Image.Resampling.NEAREST)
    tile = Image.new("RGB", (_SIDE, _SIDE), _PAPER)
    tile.paste(view, (0, 0))
    draw = ImageDraw.Draw(tile)

    def pixels(xy: np.ndarray) -> list[tuple[float, float]]:
        cell = (xy - terrain.origin_xy) / terrain.cell + 0.5
        return [(float(x) * scale, view.height - float(y) * scale) for x, y in cell]

    for clip, away in zip(item.clips, item.distances):
        draw.line(pixels(clip.root_pos[:, :2]), fill=_ARRIVED if away <= NEAR else _ASTRAY, width=1)
    draw.line(pixels(item.path.points[:, :2]), fill=_PATH, width=2)
    (x, y) = pixels(item.path.points[-1:, :2])[0]
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), outline=_PATH, width=2)
    draw.text((3, 2), f"{np.mean(np.array(item.distances) <= NEAR):.0%} arrive", fill=_INK)
    return tile


def _from_the_side(item: Shown, skeleton: Skeleton) -> Image.Image:
    """The motion that ends nearest, drawn over the way that its root has gone, with the ground under its root."""
    clip = item.clips[int(np.argmin(item.distances))]
    tile = Image.new("RGB", (_SIDE, _BELOW), _PAPER)
    draw = ImageDraw.Draw(tile)
    steps = np.linalg.norm(np.diff(clip.root_pos[:, :2], axis=0), axis=-1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    ground = item.terrain.height_at(clip.root_pos[:, :2])
    low, high = float(ground.min()) - 0.2, float(max(clip.root_pos[:, 2].max() + 1.0, ground.max()))
    scale = min((_SIDE - 60) / max(float(way[-1]), 1.0), _BELOW / (high - low))

    def pixel(along: float, z: float) -> tuple[float, float]:
        return 30 + along * scale, _BELOW - (z - low) * scale

    draw.line([pixel(a, z) for a, z in zip(way, ground)], fill=_GROUND, width=3)
    for frame in range(0, clip.num_frames, max(1, round(_EVERY_S * clip.fps))):
        for start, end in _bones(clip, frame, skeleton):
            draw.line(
                [pixel(way[frame] + start[0], start[1]), pixel(way[frame] + end[0], end[1])],
                fill=_INK,
                width=1,
            )
    return tile


def _bones(clip: MotionClip, frame: int, skeleton: Skeleton) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lines from parents to bodies: how far ahead of the root along its way, and the height, m."""
    pose = (torch.tensor(array[frame]) for array in (clip.root_pos, clip.root_rot, clip.joint_rot))
    body = Kinematics(skeleton).forward(*pose)[0].numpy()
    near = slice(max(frame - 3, 0), frame + 4)
    direction = clip.root_pos[near][-1, :2] - clip.root_pos[near][0, :2]
    direction = direction / max(float(np.linalg.norm(direction)), 1e-6)
    seen = np.stack([(body[:, :2] - body[0, :2]) @ direction, body[:, 2]], axis=-1)
    return [(seen[parent], seen[i]) for i, parent in enumerate(skeleton.parents) if parent >= 0]
