"""Where the camera stands: beside the path, looking across it."""

from __future__ import annotations

import numpy as np

from parc_motion.clips import MotionClip
from parc_mujoco.render.scene import Camera

__all__ = ["follow_cameras", "overview_camera", "spread_frames"]

_FIELD_OF_VIEW = np.radians(45.0)  # vertical, MuJoCo's default
_SMOOTHING_S = 0.5


def spread_frames(num_frames: int, count: int) -> list[int]:
    """`count` frames spread evenly over a clip, the first and the last among them."""
    return np.unique(np.linspace(0, num_frames - 1, min(count, num_frames)).round().astype(int)).tolist()


def follow_cameras(clip: MotionClip, distance: float = 3.4) -> list[Camera]:
    """One camera per frame that follows the root smoothly from one side."""
    width = max(1, round(_SMOOTHING_S * clip.fps))
    padded = np.pad(clip.root_pos, ((width, width), (0, 0)), mode="edge")
    kernel = np.ones(2 * width + 1) / (2 * width + 1)
    path = np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in range(3)], axis=-1)
    azimuth = _azimuth(clip)
    return [Camera(lookat=(x, y, z - 0.15), distance=distance, azimuth=azimuth) for x, y, z in path.tolist()]


def overview_camera(clip: MotionClip, aspect: float) -> Camera:
    """A camera that sees the whole path; `aspect` is width over height of the picture."""
    azimuth = _azimuth(clip)
    side = np.array(
        [np.sin(np.radians(azimuth)), -np.cos(np.radians(azimuth))]
    )  # to the right in the picture
    along = clip.root_pos[:, :2] @ side
    deep = clip.root_pos[:, :2] @ np.array([side[1], -side[0]])
    wide = float(np.ptp(along)) + 1.8
    tall = float(np.ptp(clip.root_pos[:, 2])) + 2.1 + 0.3 * float(np.ptp(deep))
    lowest, highest = clip.root_pos[:, 2].min(), clip.root_pos[:, 2].max()
    middle = 0.5 * (clip.root_pos[:, :2].min(axis=0) + clip.root_pos[:, :2].max(axis=0))
    half = 0.5 * max(tall, wide / aspect)
    distance = half / np.tan(0.5 * _FIELD_OF_VIEW) + 0.5 * float(np.ptp(deep))
    lookat = (float(middle[0]), float(middle[1]), float(0.5 * (lowest + highest) - 0.1))
    return Camera(lookat=lookat, distance=float(distance), azimuth=azimuth, elevation=-20.0)


def _azimuth(clip: MotionClip) -> float:
    """Across the main direction of travel, degrees; a clip that stays in place is seen from its front left."""
    xy = clip.root_pos[:, :2].astype(np.float64)
    centered = xy - xy.mean(axis=0)
    direction = np.linalg.svd(centered, full_matrices=False)[2][0] if len(xy) > 1 else np.array([1.0, 0.0])
    if np.ptp(centered @ direction) < 0.5:
        return 135.0
    if (xy[-1] - xy[0]) @ direction < 0:
        direction = -direction
    return float(np.degrees(np.arctan2(direction[1], direction[0]))) + 90.0 - 12.0
