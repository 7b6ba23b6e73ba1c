"""Measures of every frame of a clip, computed from the clip alone."""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_motion.clips import MotionClip
from parc_motion.geometry import PackedTerrains, penetration_depth
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["ClipMeter", "FrameMeasures"]


@attrs.frozen(kw_only=True, eq=False)
class FrameMeasures:
    """``[T]`` each. What is measured between two frames is that of the later one; 0 in the first."""

    root_step: np.ndarray  # m that the root moved since the frame before
    root_speed: np.ndarray  # m/s
    body_speed: np.ndarray  # m/s, of the fastest body
    depth: np.ndarray  # m, of the deepest surface point inside the ground
    outside: np.ndarray  # m that the root is beyond the border of the ground's grid; negative inside

    def part(self, first: int, stop: int) -> FrameMeasures:
        """Frames first..stop-1; distances and speeds of the new first frame are 0."""
        cut = {field.name: getattr(self, field.name)[first:stop].copy() for field in attrs.fields(type(self))}
        for name in ("root_step", "root_speed", "body_speed"):
            cut[name][:1] = 0.0
        return FrameMeasures(**cut)


class ClipMeter:
    """Measures clips of one character."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._kinematics = Kinematics(skeleton, dtype=torch.float64)
        self._surface = surface_points(skeleton, dtype=torch.float64)

    def body_pos(self, clip: MotionClip) -> np.ndarray:
        """Where the bodies are: ``[T, B, 3]`` m."""
        return self._pose(clip)[0].numpy()

    def __call__(self, clip: MotionClip, ground: Terrain) -> FrameMeasures:
        """The measures of a clip.

        Args:
            ground: terrain whose border counts; its heights must be those of the clip's own terrain.
        """
        body_pos, body_rot = self._pose(clip)
        packed = PackedTerrains.of([clip.terrain or ground], dtype=torch.float64)
        points = self._surface.world(body_pos, body_rot)
        depth = penetration_depth(packed, torch.zeros(1, dtype=torch.long), points[None])[0]
        move = (body_pos[1:] - body_pos[:-1]).norm(dim=-1)  # [T - 1, B]
        step = _later(move[:, 0])
        return FrameMeasures(
            root_step=step,
            root_speed=step * clip.fps,
            body_speed=_later(move.amax(dim=-1)) * clip.fps,
            depth=depth.amax(dim=-1).numpy(),
            outside=_distance_outside(clip.root_pos, ground),
        )

    def _pose(self, clip: MotionClip) -> tuple[torch.Tensor, torch.Tensor]:
        arrays = (clip.root_pos, clip.root_rot, clip.joint_rot)
        return self._kinematics.forward(*(torch.tensor(array, dtype=torch.float64) for array in arrays))


def _later(values: torch.Tensor) -> np.ndarray:
    return torch.cat([values.new_zeros(1), values]).numpy()


def _distance_outside(root_pos: np.ndarray, ground: Terrain) -> np.ndarray:
    half = 0.5 * ground.cell
    low, high = ground.origin_xy - half, ground.max_xy + half
    xy = root_pos[:, :2]
    return np.maximum(low - xy, xy - high).max(axis=-1)
