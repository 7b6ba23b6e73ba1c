"""A variation of a clip, before it is optimized."""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_data.augment.config import AugmentConfig
from parc_data.augment.draw import Draw
from parc_data.augment.ground import SAME, Placement, clear, place_boxes, settle, turned_ground
from parc_data.augment.stands import find_stands, follow
from parc_data.contacts import clip_points
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Path, Terrain

__all__ = ["Original", "Variation", "vary"]


@attrs.frozen(kw_only=True, eq=False)
class Original:
    """A clip to be varied, posed once."""

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
                f"clip '{clip.name}' has no terrain, so nothing tells what it stands on. Import it again with "
                "`parc data import`, which fits ground under it."
            )
        if not (clip.contacts > 0.5).any():
            raise DataError(
                f"clip '{clip.name}' has no contact labels, so nothing tells when it stands. Import it again with "
                "`parc data import`, which labels contacts."
            )
        return Original(clip=clip, terrain=clip.terrain, points=points, body=body)


@attrs.frozen(kw_only=True, eq=False)
class Variation:
    """A clip at its new place, on its new ground."""

    clip: MotionClip
    draw: Draw
    footing: float  # the worst stand: share of its points under which the ground has their height


def vary(original: Original, draw: Draw, config: AugmentConfig, name: str) -> Variation:
    """The variation that was drawn, named `name`.

    Raises:
        DataError: it spreads over too many cells.
    """
    clip = original.clip.frames(draw.first, draw.stop, name)
    points = original.points[draw.first : draw.stop]
    stands = find_stands(points, original.body, clip.contacts, original.terrain)
    placement = _placement(original.terrain, clip, draw, config)
    way = placement.forward(clip.root_pos[:, :2].astype(np.float64))
    points = _moved(points, clip.root_pos.astype(np.float64), way, draw.heading)
    standing = points[stands.frame, stands.point, :2]

    levels = placement.height(stands.ground)
    ground = turned_ground(original.terrain, placement, way, config.padding, standing, levels)
    ground = settle(ground, standing, levels)
    if draw.boxes:
        boxed = place_boxes(ground, draw.boxes, way)
        # each stand rises as most of its points do
        rises = np.round(boxed.height_at(standing) - ground.height_at(standing), 4)
        levels = levels + stands.most_frequent(rises)[stands.stand]
        ground = settle(boxed, standing, levels)
    rise = follow(stands, stands.means(levels - stands.ground), clip.num_frames, clip.fps)
    points = points + np.array([0.0, 0.0, 1.0]) * rise[:, None, None]
    ground = clear(ground, points, standing)

    right = np.abs(ground.height_at(standing) - levels) <= SAME
    footing = float(stands.means(right.astype(np.float64)).min()) if stands.count else 1.0
    root_pos = np.column_stack([way, clip.root_pos[:, 2] + rise])
    moved = attrs.evolve(
        clip,
        root_pos=root_pos,
        root_rot=_turned(clip.root_rot, draw.heading),
        terrain=ground,
        touched=None,
        path=None if clip.path is None else _path(clip.path, placement, ground),
        loop="clamp" if draw.stop - draw.first < original.clip.num_frames else clip.loop,
    )
    return Variation(clip=moved, draw=draw, footing=footing)


def _placement(terrain: Terrain, clip: MotionClip, draw: Draw, config: AugmentConfig) -> Placement:
    start = clip.root_pos[0, :2].astype(np.float64)
    base = float(terrain.height_at(start))
    at_start = config.center == "start"
    return Placement(
        matrix=draw.matrix,
        old_center=start if at_start else np.zeros(2),
        new_center=np.zeros(2),
        base=base,
        height_scale=draw.height_scale,
        up=-base if at_start else 0.0,
    )


def _moved(points: np.ndarray, root_pos: np.ndarray, way: np.ndarray, heading: float) -> np.ndarray:
    """Points that go rigidly with the root to its new way, ``[T, P, 3]`` m; heights stay."""
    cos, sin = np.cos(heading), np.sin(heading)
    away = points[..., :2] - root_pos[:, None, :2]
    xy = way[:, None] + away @ np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([xy, points[..., 2:]], axis=-1)


def _turned(root_rot: np.ndarray, heading: float) -> np.ndarray:
    turn = rot.yaw_quat(torch.tensor(heading, dtype=torch.float64)).expand(len(root_rot), 4)
    return rot.normalize(rot.multiply(turn, torch.tensor(root_rot, dtype=torch.float64))).numpy()


def _path(path: Path, placement: Placement, ground: Terrain) -> Path:
    """The path at its new place, on the new ground."""
    xy = placement.forward(path.points[:, :2].astype(np.float64))
    return attrs.evolve(path, points=np.column_stack([xy, ground.height_at(xy)]))
