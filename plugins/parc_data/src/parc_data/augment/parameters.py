"""The random parameters of one variation."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from parc_data.augment.config import AugmentConfig
from parc_motion.clips import MotionClip

__all__ = ["Box", "Parameters", "sample_parameters"]

_MAX_ATTEMPTS = 100  # samples of a height, until one is allowed
_EQUAL = 1e-4  # m: heights closer than this count as one


@attrs.frozen(kw_only=True)
class Box:
    """A rectangle of terrain that is raised around the root position of one frame."""

    frame: int
    sides: tuple[float, float]  # m, along x and y
    height: float  # m


@attrs.frozen(kw_only=True)
class Parameters:
    """Parameters of a variation."""

    first: int  # first frame of the source clip
    stop: int  # frame after the last
    heading: float  # rad
    scale: tuple[float, float]  # of x and y
    terrain: str  # kind of change of the terrain
    height_scale: float = 1.0
    boxes: tuple[Box, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return attrs.asdict(self)

    @property
    def matrix(self) -> np.ndarray:
        """Rotation followed by scaling: ``[2, 2]``."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.diag(self.scale) @ np.array([[cos, -sin], [sin, cos]])


def sample_parameters(config: AugmentConfig, clip: MotionClip, rng: np.random.Generator) -> Parameters | None:
    """Parameters of a variation of a clip with terrain; None if no allowed height was found."""
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
        return None if scale is None else Parameters(**common, height_scale=scale)
    if common["terrain"] == "boxes":
        boxes = _boxes(config, stop - first, rng)
        return None if boxes is None else Parameters(**common, boxes=boxes)
    return Parameters(**common)


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
    heights = heights[np.abs(heights) > _EQUAL]  # the height at the start does not change
    for _ in range(_MAX_ATTEMPTS):
        scale = float(rng.uniform(*config.height_scale))
        if not _forbidden(config, heights * scale):
            return scale
    return None


def _boxes(config: AugmentConfig, frames: int, rng: np.random.Generator) -> tuple[Box, ...] | None:
    boxes = []
    for _ in range(int(rng.integers(config.num_boxes[0], config.num_boxes[1] + 1))):
        sides = tuple(float(side) for side in rng.uniform(*config.box_side, size=2))
        frame = int(rng.integers(frames))
        for _ in range(_MAX_ATTEMPTS):
            height = float(rng.uniform(*config.box_height))
            if not _forbidden(config, np.array([height])):
                break
        else:
            return None
        boxes.append(Box(frame=frame, sides=(sides[0], sides[1]), height=height))
    return tuple(boxes)


def _forbidden(config: AugmentConfig, heights: np.ndarray) -> bool:
    return any(((heights >= low) & (heights <= high)).any() for low, high in config.bad_heights)
