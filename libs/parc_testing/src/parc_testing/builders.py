"""Small, valid test data: arrange with these and override what the test is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from parc_motion.clips import MotionClip
from parc_motion.terrains import Terrain

__all__ = ["STANDING_HEIGHT", "make_clip", "make_terrain"]

STANDING_HEIGHT = 0.881416  # m, pelvis of the straight humanoid whose soles touch z = 0


def make_terrain(
    shape: tuple[int, int] = (12, 10),
    steps: Sequence[tuple[tuple[slice, slice], float]] = (),
    **override: Any,
) -> Terrain:
    """A level terrain with some cells raised; the world's origin lies inside, two cells from its corner.

    Args:
        steps: (cells along x and y, their height in m) pairs.
    """
    height = np.zeros(shape, dtype=np.float32)
    for where, value in steps:
        height[where] = value
    return Terrain(**{"height": height, "origin_xy": (-0.8, -0.8), "cell": 0.4, **override})


def make_clip(frames: int = 30, *, speed: float = 0.0, fps: float = 30.0, **override: Any) -> MotionClip:
    """A humanoid that stands straight on level ground (arms out), gliding along x at `speed` m/s, arms swinging.

    Both feet carry contact labels. It is a valid clip, not a nice motion.
    """
    time = np.arange(frames) / fps
    root_pos = np.stack([speed * time, np.zeros(frames), np.full(frames, STANDING_HEIGHT)], axis=-1)
    root_rot = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 1))
    joint_rot = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 14, 1))
    swing = 0.5 * (0.3 + 0.3 * np.sin(2 * np.pi * time))  # half angle about x, both shoulders
    for joint, sign in ((2, 1.0), (5, -1.0)):
        joint_rot[:, joint, 0], joint_rot[:, joint, 3] = sign * np.sin(swing), np.cos(swing)
    contacts = np.zeros((frames, 15))
    contacts[:, [11, 14]] = 1.0
    fields: dict[str, Any] = {
        "name": "standing",
        "root_pos": root_pos,
        "root_rot": root_rot,
        "joint_rot": joint_rot,
        "contacts": contacts,
        "fps": fps,
        "motion_class": "stand",
        "terrain": make_terrain(),
    }
    return MotionClip(**{**fields, **override})
