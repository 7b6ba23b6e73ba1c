"""Default motions and terrains of measurements: a character that swings its joints among boxes."""

from __future__ import annotations

import numpy as np
import torch

from parc_motion.clips import MotionClip
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["boxes_terrain", "standing_height", "swinging_clip", "swinging_clips"]

_FPS = 30.0
_CELLS = (24, 16)
_SWING = 0.15  # share of the joints' ranges


def swinging_clips(skeleton: Skeleton, count: int, seconds: float, seed: int = 0) -> list[MotionClip]:
    """Clips of a character that stands among boxes, each on its own terrain; equal arguments give equal clips."""
    rng = np.random.default_rng(seed)
    return [
        swinging_clip(skeleton, boxes_terrain(rng), seconds, rng, name=f"swing {m}") for m in range(count)
    ]


def boxes_terrain(rng: np.random.Generator, boxes: int = 10, highest: float = 0.6) -> Terrain:
    """Level ground with boxes of 1 to 6 cells a side, up to `highest` m high; the origin is the center of a cell."""
    height = np.zeros(_CELLS)
    for _ in range(boxes):
        (i, j), (a, b) = (int(rng.integers(n)) for n in _CELLS), rng.integers(1, 7, size=2)
        height[i : i + a, j : j + b] = rng.uniform(0.05, highest)
    return Terrain(height=height, origin_xy=(-0.4 * 12, -0.4 * 8), cell=0.4)


def swinging_clip(
    skeleton: Skeleton, terrain: Terrain, seconds: float, rng: np.random.Generator, name: str
) -> MotionClip:
    """A character that stands at the origin, its joints swinging by a share of their ranges, at 0.5 to 1.5 Hz."""
    frames = max(2, round(seconds * _FPS) + 1)
    time = np.arange(frames)[:, None] / _FPS
    phase, rate = rng.uniform(0, 2 * np.pi, skeleton.num_dofs), rng.uniform(0.5, 1.5, skeleton.num_dofs)
    reach = _SWING * (skeleton.dof_upper - skeleton.dof_lower)
    dof = np.clip(0.0, skeleton.dof_lower, skeleton.dof_upper) + 0.5 * reach * np.sin(
        phase + 2 * np.pi * rate * time
    )
    kinematics = Kinematics(skeleton)
    joint_rot = kinematics.dof_to_joint_rot(torch.tensor(dof, dtype=torch.float32)).numpy()
    root_pos = np.zeros((frames, 3))
    root_pos[:, 2] = terrain.height_at(root_pos[:, :2]) + standing_height(skeleton)
    contacts = np.zeros((frames, skeleton.num_bodies))
    contacts[:, list(skeleton.feet)] = 1.0
    return MotionClip(
        name=name,
        root_pos=root_pos,
        root_rot=np.tile([0.0, 0.0, 0.0, 1.0], (frames, 1)),
        joint_rot=joint_rot,
        contacts=contacts,
        fps=_FPS,
        skeleton=skeleton.id,
        motion_class="swing",
        terrain=terrain,
    )


def standing_height(skeleton: Skeleton) -> float:
    """Height of the root above the lowest point of the straight character, m."""
    kinematics, surface = Kinematics(skeleton), surface_points(skeleton)
    no_turn = torch.tensor([0.0, 0.0, 0.0, 1.0])
    posed = kinematics.forward(torch.zeros(3), no_turn, no_turn.repeat(skeleton.num_joints, 1))
    return -float(surface.world(*posed)[:, 2].min())
