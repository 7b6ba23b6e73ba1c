"""A variation of a clip, before it is optimized."""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_data.augment.config import AugmentConfig
from parc_data.augment.ground import (
    SAME,
    Placement,
    level_cells,
    lower_cells,
    place_boxes,
    transformed_terrain,
)
from parc_data.augment.parameters import Parameters
from parc_data.augment.stances import find_stances, root_rise
from parc_data.contacts import clip_points
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Path, Terrain

__all__ = ["Original", "Variation", "vary"]


@attrs.frozen(kw_only=True, eq=False)
class Original:
    """The clip that is varied, with its posed surface points."""

    clip: MotionClip
    terrain: Terrain
    points: np.ndarray  # [T, P, 3] m, on the surface of the bodies
    body: np.ndarray  # [P] body of each

    @staticmethod
    def of(clip: MotionClip, skeleton: Skeleton) -> Original:
        """The clip, posed.

        Raises:
            SkeletonMismatch: it belongs to another character.
            DataError: it has no terrain, or no contact label.
        """
        points, body = clip_points(clip, skeleton)
        if clip.terrain is None:
            raise DataError(
                f"clip '{clip.name}' has no terrain, so its contacts have no ground. Import it again with "
                "`parc data import`, which fits ground under it."
            )
        if not (clip.contacts > 0.5).any():
            raise DataError(
                f"clip '{clip.name}' has no contact labels, so its stance phases are unknown. Import it again with "
                "`parc data import`, which labels contacts."
            )
        return Original(clip=clip, terrain=clip.terrain, points=points, body=body)


@attrs.frozen(kw_only=True, eq=False)
class Variation:
    """A clip that was moved, rotated and scaled, on its new terrain."""

    clip: MotionClip
    parameters: Parameters
    footing: float  # smallest share of a stance phase's points under which the ground has the right height


def vary(original: Original, parameters: Parameters, config: AugmentConfig, name: str) -> Variation:
    """The variation with these parameters, named `name`.

    Raises:
        DataError: its terrain needs too many cells.
    """
    clip = original.clip.frames(parameters.first, parameters.stop, name)
    points = original.points[parameters.first : parameters.stop]
    stances = find_stances(points, original.body, clip.contacts, original.terrain)
    placement = _placement(original.terrain, clip, parameters, config)
    root_xy = placement.forward(clip.root_pos[:, :2].astype(np.float64))
    points = _moved(points, clip.root_pos.astype(np.float64), root_xy, parameters.heading)
    standing = points[stances.frame, stances.point, :2]

    levels = placement.height(stances.ground)
    ground = transformed_terrain(original.terrain, placement, root_xy, config.padding, standing, levels)
    ground = level_cells(ground, standing, levels)
    if parameters.boxes:
        boxed = place_boxes(ground, parameters.boxes, root_xy)
        # each stance phase rises as most of its points do
        rises = np.round(boxed.height_at(standing) - ground.height_at(standing), 4)
        levels = levels + stances.most_frequent(rises)[stances.stance]
        ground = level_cells(boxed, standing, levels)
    rise = root_rise(stances, stances.means(levels - stances.ground), clip.num_frames, clip.fps)
    points = points + np.array([0.0, 0.0, 1.0]) * rise[:, None, None]
    ground = lower_cells(ground, points, standing)

    right = np.abs(ground.height_at(standing) - levels) <= SAME
    footing = float(stances.means(right.astype(np.float64)).min()) if stances.count else 1.0
    root_pos = np.column_stack([root_xy, clip.root_pos[:, 2] + rise])
    moved = attrs.evolve(
        clip,
        root_pos=root_pos,
        root_rot=_turned(clip.root_rot, parameters.heading),
        terrain=ground,
        touched=None,
        path=None if clip.path is None else _path(clip.path, placement, ground),
        loop="clamp" if parameters.stop - parameters.first < original.clip.num_frames else clip.loop,
    )
    return Variation(clip=moved, parameters=parameters, footing=footing)


def _placement(
    terrain: Terrain, clip: MotionClip, parameters: Parameters, config: AugmentConfig
) -> Placement:
    start = clip.root_pos[0, :2].astype(np.float64)
    base = float(terrain.height_at(start))
    at_start = config.center == "start"
    return Placement(
        matrix=parameters.matrix,
        old_center=start if at_start else np.zeros(2),
        new_center=np.zeros(2),
        base=base,
        height_scale=parameters.height_scale,
        up=-base if at_start else 0.0,
    )


def _moved(points: np.ndarray, root_pos: np.ndarray, root_xy: np.ndarray, heading: float) -> np.ndarray:
    """Points moved rigidly with the root onto its new path, ``[T, P, 3]`` m; heights do not change."""
    cos, sin = np.cos(heading), np.sin(heading)
    away = points[..., :2] - root_pos[:, None, :2]
    xy = root_xy[:, None] + away @ np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([xy, points[..., 2:]], axis=-1)


def _turned(root_rot: np.ndarray, heading: float) -> np.ndarray:
    turn = rot.yaw_quat(torch.tensor(heading, dtype=torch.float64)).expand(len(root_rot), 4)
    return rot.normalize(rot.multiply(turn, torch.tensor(root_rot, dtype=torch.float64))).numpy()


def _path(path: Path, placement: Placement, ground: Terrain) -> Path:
    """The path, moved onto the new terrain."""
    xy = placement.forward(path.points[:, :2].astype(np.float64))
    return attrs.evolve(path, points=np.column_stack([xy, ground.height_at(xy)]))
