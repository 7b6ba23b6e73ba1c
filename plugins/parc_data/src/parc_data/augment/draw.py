"""What is drawn for one variation."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from parc_data.augment.config import AugmentConfig
from parc_motion.clips import MotionClip

__all__ = ["Box", "Draw", "draw"]

_MOST_DRAWS = 100  # of heights, until one is allowed
_EQUAL = 1e-4  # m: heights closer than this count as one


@attrs.frozen(kw_only=True)
class Box:
    """Ground that is raised around the root of one frame."""

    frame: int
    sides: tuple[float, float]  # m, along x and y
    height: float  # m


@attrs.frozen(kw_only=True)
class Draw:
    """Parameters of a variation."""

    first: int  # frames of the source, from
    stop: int  # to the one before
    heading: float  # rad
    scale: tuple[float, float]  # of x and y
    terrain: str  # what happens to the ground
    height_scale: float = 1.0
    boxes: tuple[Box, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded as far as a reader needs; floats in full where they decide the clip."""
        return attrs.asdict(self)

    @property
    def matrix(self) -> np.ndarray:
        """Turn, then stretch: ``[2, 2]``."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.diag(self.scale) @ np.array([[cos, -sin], [sin, cos]])


def draw(config: AugmentConfig, clip: MotionClip, rng: np.random.Generator) -> Draw | None:
    """Parameters for a variation of a clip with terrain; None where no allowed height was found."""
    first, stop = _part(config, clip, rng)
    common: dict[str, Any] = {
        "first": first,
        "stop": stop,
        "heading": float(np.deg2rad(rng.uniform(*config.heading))),
        "scale": (float(rng.uniform(*config.scale_x)), float(rng.uniform(*config.scale_y))),
        "terrain": config.terrain[int(rng.integers(len(config.terrain)))],
    }
    if common["terrain"] == "height_scale":
        scale = _height_scale(config, clip, first, rng)
        return None if scale is None else Draw(**common, height_scale=scale)
    if common["terrain"] == "boxes":
        boxes = _boxes(config, stop - first, rng)
        return None if boxes is None else Draw(**common, boxes=boxes)
    return Draw(**common)


def _part(config: AugmentConfig, clip: MotionClip, rng: np.random.Generator) -> tuple[int, int]:
    most = round(config.crop_length * clip.fps) + 1
    if config.crop_length == 0.0 or clip.num_frames <= most:
        return 0, clip.num_frames
    first = int(rng.integers(clip.num_frames - most + 1))
    return first, first + most


def _height_scale(
    config: AugmentConfig, clip: MotionClip, first: int, rng: np.random.Generator
) -> float | None:
    assert clip.terrain is not None
    start = float(clip.terrain.height_at(clip.root_pos[first, :2]))
    heights = np.unique(clip.terrain.height.astype(np.float64)) - start
    heights = heights[np.abs(heights) > _EQUAL]  # the start's own stay
    for _ in range(_MOST_DRAWS):
        scale = float(rng.uniform(*config.height_scale))
        if not _forbidden(config, heights * scale):
            return scale
    return None


def _boxes(config: AugmentConfig, frames: int, rng: np.random.Generator) -> tuple[Box, ...] | None:
    boxes = []
    for _ in range(int(rng.integers(config.num_boxes[0], config.num_boxes[1] + 1))):
        sides = tuple(float(side) for side in rng.uniform(*config.box_side, size=2))
        frame = int(rng.integers(frames))
        for _ in range(_MOST_DRAWS):
            height = float(rng.uniform(*config.box_height))
            if not _forbidden(config, np.array([height])):
                break
        else:
            return None
        boxes.append(Box(frame=frame, sides=(sides[0], sides[1]), height=height))
    return tuple(boxes)


def _forbidden(config: AugmentConfig, heights: np.ndarray) -> bool:
    return any(((heights >= low) & (heights <= high)).any() for low, high in config.bad_heights)
