"""Mirroring a clip and its ground about the xz plane (left becomes right).

Source: `parc_motion.published` (y -> -y, quaternion (x, y, z, w) -> (-x, y, -z, w), sides swapped). Unlike there,
path, touched cells and terrain bounds are mirrored too, and nothing is written in place.
"""

from __future__ import annotations

import attrs
import numpy as np

from parc_motion.clips.clip import MotionClip
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Path, Terrain

__all__ = ["mirror_clip", "mirror_path", "mirror_terrain"]

_FLIP_POS = np.array([1.0, -1.0, 1.0], dtype=np.float32)
_FLIP_ROT = np.array([-1.0, 1.0, -1.0, 1.0], dtype=np.float32)


def mirror_clip(clip: MotionClip, skeleton: Skeleton, name: str | None = None) -> MotionClip:
    """The clip seen in a mirror that stands on the xz plane, named `<name>_flipped` unless told."""
    clip.require_skeleton(skeleton.id, skeleton.num_joints)
    bodies = skeleton.mirror_bodies
    touched = clip.touched
    if touched is not None and clip.terrain is not None:
        touched = np.stack([touched[:, 0], touched[:, 1], clip.terrain.shape[1] - 1 - touched[:, 2]], axis=1)
        touched = touched[np.lexsort((touched[:, 2], touched[:, 1], touched[:, 0]))]
    return attrs.evolve(
        clip,
        name=name or f"{clip.name}_flipped",
        root_pos=clip.root_pos * _FLIP_POS,
        root_rot=clip.root_rot * _FLIP_ROT,
        joint_rot=(clip.joint_rot * _FLIP_ROT)[:, bodies[1:] - 1],
        contacts=clip.contacts[:, bodies],
        touched=touched,
        terrain=None if clip.terrain is None else mirror_terrain(clip.terrain),
        path=None if clip.path is None else mirror_path(clip.path),
    )


def mirror_terrain(terrain: Terrain) -> Terrain:
    """The terrain with y reversed."""
    return attrs.evolve(
        terrain,
        height=terrain.height[:, ::-1],
        origin_xy=[terrain.origin_xy[0], -terrain.max_xy[1]],
        bounds=None if terrain.bounds is None else terrain.bounds[:, ::-1],
    )


def mirror_path(path: Path) -> Path:
    """The path with y reversed."""
    return attrs.evolve(path, points=path.points * _FLIP_POS)
